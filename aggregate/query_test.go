package aggregate_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

func wantRejected(t *testing.T, err error, code string) {
	t.Helper()
	var rejected *aggregate.RejectedError
	if !errors.As(err, &rejected) || rejected.Code != code {
		t.Errorf("got %v, want the rejection %q", err, code)
	}
}

// A rule across streams: what the query has not seen is decided again.
func TestQueryIsACondition(t *testing.T) {
	t.Parallel()
	log, ctx := newCampus(t), t.Context()
	courses := newCourses(log, aggregate.Options{})
	for id := range 4 {
		must(t)(courses.Schedule(ctx, fmt.Sprint(id), "Go", course.ScheduleFields{Seats: 9}))
	}
	must(t)(courses.Enrol(ctx, "0", "ada"))
	meddling := &meddler{Log: log, before: func() { must(t)(courses.Enrol(ctx, "1", "ada")) }}
	_, err := newCourses(meddling, aggregate.Options{}).Enrol(ctx, "2", "ada")
	wantRejected(t, err, "too_many_courses")
	must(t)(courses.Withdraw(ctx, "0", "ada"))
	must(t)(courses.Enrol(ctx, "3", "ada"))
}

// Events that the query does not match are no conflict.
func TestQueryMindsNothingElse(t *testing.T) {
	t.Parallel()
	log, ctx := newCampus(t), t.Context()
	courses := newCourses(log, aggregate.Options{})
	must(t)(courses.Schedule(ctx, "1", "Go", course.ScheduleFields{Seats: 9}))
	must(t)(courses.Schedule(ctx, "2", "Go", course.ScheduleFields{Seats: 9}))
	meddling := &meddler{Log: log, before: func() { must(t)(courses.Enrol(ctx, "2", "bob")) }}
	other := newCourses(meddling, aggregate.Options{})
	must(t)(other.Enrol(ctx, "1", "ada"))
	if s := other.Stats(); s.Conflicts != 0 {
		t.Errorf("stats %+v", s)
	}
}

// scholar enrols whoever nobody has enrolled, by Any, and otherwise whoever has
// an enrolment, which it reads no further than that.
type scholar struct {
	campus.Registrar
	decided *int
}

func (s scholar) DecideEnrol(_ *course.Course, c course.Enrol, out *course.Decision) error {
	*s.decided++
	found, err := out.Any(event.Query{{Tags: []string{"student:" + c.Student()}}})
	if err != nil {
		return err
	}
	if !found {
		return out.Enrolled(c.Student())
	}
	for _, err := range out.Query(event.Query{{Types: []string{course.EnrolledType}}}) {
		if err != nil {
			return err
		}
		break
	}
	return out.Withdrawn(c.Student())
}

func TestAnyIsAConditionWhenThereIsNone(t *testing.T) {
	t.Parallel()
	log, ctx := newCampus(t), t.Context()
	courses := newCourses(log, aggregate.Options{})
	must(t)(courses.Schedule(ctx, "1", "Go", course.ScheduleFields{Seats: 9}))
	enrol := func() { must(t)(courses.Enrol(ctx, "1", "ada")) }
	decided := 0
	h := course.NewHandler(&meddler{Log: log, before: enrol}, scholar{decided: &decided}, aggregate.Options{})
	if must(t)(h.Enrol(ctx, "2", "ada")); decided != 2 {
		t.Errorf("decided %d times, want 2", decided)
	}
	// Now that there is one, more are none of its business; nor is what comes
	// after the event that the loop ended at.
	decided = 0
	more := func() { must(t)(courses.Enrol(ctx, "1", "bob")) }
	h = course.NewHandler(&meddler{Log: log, before: more}, scholar{decided: &decided}, aggregate.Options{})
	if must(t)(h.Enrol(ctx, "3", "ada")); decided != 1 {
		t.Errorf("decided %d times, want 1", decided)
	}
}

type broken struct{ campus.Registrar }

func (broken) DecideEnrol(_ *course.Course, _ course.Enrol, out *course.Decision) error {
	if _, err := out.Any(nil); err == nil {
		return errors.New("a query of nothing was asked")
	}
	for _, err := range out.Query(event.Query{{Tags: []string{"no colon"}}}) {
		return err
	}
	return nil
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	h := course.NewHandler(newCampus(t), broken{}, aggregate.Options{})
	if _, err := h.Enrol(t.Context(), "1", "ada"); !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("got %v", err)
	}
}

// 64 callers race for 5 seats, and a student for more courses than allowed.
func TestNoOverbooking(t *testing.T) {
	t.Parallel()
	log, ctx := newCampus(t), t.Context()
	handlers := []*course.Handler{newCourses(log, aggregate.Options{}), newCourses(log, aggregate.Options{})}
	for _, id := range []string{"1", "2", "3", "4"} {
		must(t)(handlers[0].Schedule(ctx, id, "Go", course.ScheduleFields{Seats: 5}))
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			student, id := fmt.Sprint(i), "1"
			if i%4 == 0 {
				student, id = "ada", fmt.Sprint(2+i/4%3)
			}
			if _, err := handlers[i%2].Enrol(ctx, id, student); err != nil && !errors.As(err, new(*aggregate.RejectedError)) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ada := 0
	for id, want := range map[string]int{"1": 5, "2": 1, "3": 1, "4": 1} {
		s, _, err := handlers[0].Load(ctx, id)
		if err != nil || len(s.Students) > want {
			t.Errorf("course %s: %v, %v", id, s, err)
		}
		if id == "1" && len(s.Students) != want {
			t.Errorf("%d seats of course 1 are taken, want all", len(s.Students))
		}
		if id != "1" {
			ada += len(s.Students)
		}
	}
	if ada != 2 {
		t.Errorf("ada takes %d courses, want 2", ada)
	}
}
