package course_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// 64 callers race for the 20 seats of one course, and each tries to get into
// three more courses where two are allowed: over handlers on a local store,
// over handlers of remote processes, and over both.
func TestNoOverbooking(t *testing.T) {
	t.Parallel()
	store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: course.Schema, MapSize: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	remote := serve(t, store)
	for name, logs := range map[string][]event.Log{
		"local": {store, store}, "remote": {remote, remote}, "mixed": {store, remote},
	} {
		t.Run(name, func(t *testing.T) { race(t, name, logs) })
	}
}

// serve returns the store as a client of a bus sees it.
func serve(t *testing.T, store *eventstore.Store) *client.Client {
	t.Helper()
	bus, err := wampbus.New(wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer | wampbus.Reader})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- bus.ServeWebSocket(context.Background(), listener) }()
	t.Cleanup(func() {
		if err := errors.Join(bus.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	schemas, err := schema.Load(course.Schema)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), "ws://"+listener.Addr().String()+"/", client.Options{Schemas: schemas})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func race(t *testing.T, name string, logs []event.Log) {
	const callers, seats, maxCourses = 64, 20, 2
	var handlers []*course.Handler
	for _, log := range logs {
		handlers = append(handlers, course.NewHandler(log, campus.Registrar{MaxCourses: maxCourses}, aggregate.Options{MaxAttempts: 1000}))
	}
	ids := []string{name + "-wanted", name + "-2", name + "-3", name + "-4"}
	for i, id := range ids {
		size := uint32(callers)
		if i == 0 {
			size = seats
		}
		if _, err := handlers[0].Schedule(t.Context(), id, "Go", course.ScheduleFields{Seats: size}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range callers {
		// Two callers at once for every student.
		student := fmt.Sprintf("%s-%d", name, i/2)
		for n := range ids {
			wg.Go(func() {
				var rejected *aggregate.RejectedError
				if _, err := handlers[i%2].Enrol(t.Context(), ids[n], student); err != nil && !errors.As(err, &rejected) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	courses := map[string]int{}
	for i, id := range ids {
		s, _, err := handlers[1].Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(s.Students) > seats {
			t.Errorf("%d students have %d seats", len(s.Students), seats)
		}
		for _, student := range s.Students {
			courses[student]++
		}
	}
	for student, n := range courses {
		if n > maxCourses {
			t.Errorf("%s takes %d courses, and may take %d", student, n, maxCourses)
		}
	}
	if len(courses) != callers/2 {
		t.Errorf("%d students take courses, want %d", len(courses), callers/2)
	}
}
