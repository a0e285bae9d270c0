package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/course/course"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// The second example: students race for the seats of a course that is too small
// for them, then for more courses than they may take.
const (
	students   = 64
	seats      = 20
	maxCourses = 2
)

// courses are tried in this order; all but the first have room for everybody.
var courses = []struct {
	id    string
	seats uint32
}{{"wanted", seats}, {"second", students}, {"third", students}, {"fourth", students}}

// enrol lets all students at the courses at once, over the bus.
func (d *demo) enrol(ctx context.Context) error {
	var clients []*client.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for range min(d.Clients, 8) {
		c, err := dial(ctx, d.url)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	for _, one := range courses {
		data := course.NewSchedule(one.id, course.ScheduleFields{Seats: one.seats})
		if _, err := clients[0].Command(ctx, "course", one.id, "schedule", data, client.CommandOptions{}); err != nil {
			return err
		}
	}
	var enrolled atomic.Int64
	group, racing := errgroup.WithContext(ctx)
	for i := range students {
		group.Go(func() error {
			n, err := enrolOne(racing, clients[i%len(clients)], fmt.Sprintf("student %d", i))
			enrolled.Add(int64(n))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return d.countSeats(ctx, clients[0], int(enrolled.Load()))
}

// enrolOne tries every course, and returns how many took the student.
func enrolOne(ctx context.Context, c *client.Client, student string) (enrolled int, err error) {
	for _, one := range courses {
		_, err := c.Command(ctx, "course", one.id, "enrol", course.NewEnrol(student), client.CommandOptions{})
		var rejected *aggregate.RejectedError
		switch {
		case err == nil:
			enrolled++
		case !errors.As(err, &rejected):
			return enrolled, err
		case rejected.Code != "full" && rejected.Code != "too_many_courses":
			return enrolled, fmt.Errorf("%s in course %s: %w", student, one.id, err)
		}
	}
	return enrolled, nil
}

// countSeats holds the log against the rules, after every single event.
func (d *demo) countSeats(ctx context.Context, c *client.Client, accepted int) error {
	before := len(d.disagreements)
	taken, takes, size, events := map[string]int{}, map[string]int{}, map[string]int{}, 0
	for e, err := range event.Read(ctx, c, event.Selection{Category: course.Category}) {
		if err != nil {
			return err
		}
		if scheduled, ok := course.AsScheduled(e); ok {
			size[e.StreamID()] = int(scheduled.Seats())
			if d.tamper.seats != nil {
				size[e.StreamID()] = d.tamper.seats(size[e.StreamID()])
			}
		}
		if enrolled, ok := course.AsEnrolled(e); ok {
			events++
			taken[e.StreamID()]++
			takes[enrolled.Student()]++
			if n, most := taken[e.StreamID()], size[e.StreamID()]; n > most {
				d.disagree("%v gives seat %d of %d in course %s", e, n, most, e.StreamID())
			}
			if n := takes[enrolled.Student()]; n > maxCourses {
				d.disagree("%v is course %d of %s, who may take %d", e, n, enrolled.Student(), maxCourses)
			}
		}
	}
	if events != accepted || taken[courses[0].id] != seats {
		d.disagree("%d students raced for %d seats: %d were taken; of %d accepted enrolments %d are in the log",
			students, seats, taken[courses[0].id], accepted, events)
	}
	d.SeatsOK = len(d.disagreements) == before
	d.enrolled = events
	return nil
}
