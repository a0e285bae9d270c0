package course_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/aggregatetest"
	"github.com/verbatim-es/verbatim/event"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

var registrar = course.Define(campus.Registrar{MaxCourses: 2})

func scheduled(seats uint32) event.Proposed {
	return course.NewScheduled("Go", course.ScheduledFields{Seats: seats})
}

func TestScheduling(t *testing.T) {
	t.Parallel()
	schedule := course.ScheduleCommand("Go", course.ScheduleFields{Seats: 2})
	aggregatetest.Given(t, registrar).
		When(schedule).
		Then(scheduled(2)).
		State(course.Course{Title: "Go", Seats: 2}).
		When(schedule).
		Rejected("already_scheduled")
	aggregatetest.Given(t, registrar).
		When(course.ScheduleCommand("Go", course.ScheduleFields{})).
		Rejected("no_seats")
}

func TestSeatsAreLimited(t *testing.T) {
	t.Parallel()
	aggregatetest.Given(t, registrar, scheduled(2), course.NewEnrolled("ada")).
		When(course.EnrolCommand("ada")).
		Rejected("already_enrolled").
		When(course.EnrolCommand("")).
		Rejected("no_student").
		When(course.EnrolCommand("bob")).
		Then(course.NewEnrolled("bob")).
		State(course.Course{Title: "Go", Seats: 2, Students: []string{"ada", "bob"}}).
		When(course.EnrolCommand("cyd")).
		Rejected("full").
		When(course.WithdrawCommand("ada")).
		Then(course.NewWithdrawn("ada")).
		When(course.EnrolCommand("cyd")).
		Then(course.NewEnrolled("cyd")).
		State(course.Course{Title: "Go", Seats: 2, Students: []string{"bob", "cyd"}})
}

// The rule across streams counts what happened to other courses.
func TestCoursesOfAStudentAreLimited(t *testing.T) {
	t.Parallel()
	aggregatetest.Given(t, registrar, scheduled(9),
		aggregatetest.In("course-2", course.NewEnrolled("ada")),
		aggregatetest.In("course-3", course.NewEnrolled("ada")),
		aggregatetest.In("course-3", course.NewEnrolled("bob"))).
		When(course.EnrolCommand("ada")).
		Rejected("too_many_courses").
		When(course.EnrolCommand("bob")).
		Then(course.NewEnrolled("bob"))
	aggregatetest.Given(t, registrar, scheduled(9),
		aggregatetest.In("course-2", course.NewEnrolled("ada")),
		aggregatetest.In("course-3", course.NewEnrolled("ada")),
		aggregatetest.In("course-3", course.NewWithdrawn("ada"))).
		When(course.EnrolCommand("ada")).
		Then(course.NewEnrolled("ada"))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	aggregatetest.Given(t, registrar).
		When(course.EnrolCommand("ada")).
		Rejected("not_scheduled").
		When(course.WithdrawCommand("ada")).
		Rejected("not_enrolled")
}
