package course

import (
	"slices"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

// Registrar decides who gets a seat.
type Registrar struct {
	// MaxCourses is how many courses a student may take.
	MaxCourses int
}

var _ course.Decider = Registrar{}

// DecideSchedule offers a course once.
func (Registrar) DecideSchedule(s *course.Course, c course.Schedule, out *course.Decision) error {
	switch {
	case s.Seats > 0:
		return aggregate.Reject("already_scheduled", "the course was scheduled before")
	case c.Seats() == 0:
		return aggregate.Reject("no_seats", "a course needs at least one seat")
	}
	return out.Scheduled(c.Title(), course.ScheduledFields{Seats: c.Seats()})
}

// DecideEnrol gives a student a seat.
func (r Registrar) DecideEnrol(s *course.Course, c course.Enrol, out *course.Decision) error {
	switch {
	case s.Seats == 0:
		return aggregate.Reject("not_scheduled", "there is no such course")
	case c.Student() == "":
		return aggregate.Reject("no_student", "a seat is for a student")
	case slices.Contains(s.Students, c.Student()):
		return aggregate.Reject("already_enrolled", "the student has a seat")
	case len(s.Students) >= int(s.Seats):
		return aggregate.Reject("full", "no seat is left")
	}
	taken, err := coursesOf(c.Student(), out)
	if err != nil {
		return err
	}
	if taken >= r.MaxCourses {
		return aggregate.Reject("too_many_courses", "the student takes as many courses as anybody may")
	}
	return out.Enrolled(c.Student())
}

// coursesOf counts the courses that a student takes, over all their streams. The
// seat is given only if that has not changed until it is stored.
func coursesOf(student string, out *course.Decision) (taken int, err error) {
	query := event.Query{{
		Types: []string{course.EnrolledType, course.WithdrawnType},
		Tags:  []string{"student:" + student},
	}}
	for e, err := range out.Query(query) {
		if err != nil {
			return 0, err
		}
		if e.Type() == course.EnrolledType {
			taken++
		} else {
			taken--
		}
	}
	return taken, nil
}

// DecideWithdraw gives a seat back.
func (Registrar) DecideWithdraw(s *course.Course, c course.Withdraw, out *course.Decision) error {
	if !slices.Contains(s.Students, c.Student()) {
		return aggregate.Reject("not_enrolled", "the student has no seat")
	}
	return out.Withdrawn(c.Student())
}

// EvolveScheduled follows the offer of a course.
func (Registrar) EvolveScheduled(s *course.Course, e course.Scheduled) {
	s.Title, s.Seats = e.Title(), e.Seats()
}

// EvolveEnrolled follows a seat that was taken.
func (Registrar) EvolveEnrolled(s *course.Course, e course.Enrolled) {
	s.Students = append(s.Students, e.Student())
}

// EvolveWithdrawn follows a seat that was given back.
func (Registrar) EvolveWithdrawn(s *course.Course, e course.Withdrawn) {
	s.Students = slices.DeleteFunc(s.Students, func(student string) bool { return student == e.Student() })
}
