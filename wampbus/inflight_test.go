package wampbus_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// What a client calls before it is welcome is answered behind its WELCOME,
// whether the router serves it or not, and so are their cancellations.
func TestCallBeforeWelcome(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	for _, f := range codec.Formats {
		w := h.connect(t, f)
		w.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
		w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.head"})
		w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "wamp.session.count"})
		w.send(&wamp.Call{Request: 3, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
		w.send(&wamp.Cancel{Request: 3, Options: wamp.Dict{}})
		w.welcomed()
		answers := make(map[wamp.ID]wamp.Message)
		for range 3 {
			m := w.receive()
			switch m := m.(type) {
			case *wamp.Result:
				answers[m.Request] = m
			case *wamp.Error:
				answers[m.Request] = m
			default:
				t.Fatalf("%v: %#v", f, m)
			}
		}
		canceled, ok := answers[3].(*wamp.Error)
		if answers[1] == nil || answers[2] == nil || !ok || canceled.Error != wamp.ErrCanceled {
			t.Errorf("%v: %#v", f, answers)
		}
	}
}

// A CANCEL of what is not there, or is answered, says nothing.
func TestCancelNothing(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.MessagePack)
	for _, procedure := range []string{"es.head", "wamp.session.count"} {
		w.send(&wamp.Cancel{Request: w.id + 1, Options: wamp.Dict{}})
		w.result(procedure, nil, nil)
		w.send(&wamp.Cancel{Request: w.id, Options: wamp.Dict{"mode": "kill"}})
		w.send(&wamp.Cancel{Request: 1000, Options: wamp.Dict{}})
		w.result("es.head", nil, nil)
	}
	if n := h.bus.Stats().CallsInFlight; n != 0 {
		t.Errorf("%d calls are in flight", n)
	}
}

// Calls of sessions that are over count as long as they go on, and no longer,
// whoever serves them.
func TestCallsOfEndedSessions(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	goOn := make(chan struct{})
	served := make(chan struct{}, 3)
	h.handle(t, "bank.stuck", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
		served <- struct{}{}
		<-goOn
		return wampbus.Reply{}, nil
	}})
	w := h.join(t, codec.MessagePack)
	for id := wamp.ID(1); id <= 3; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "bank.stuck"})
		<-served
	}
	w.send(&wamp.Cancel{Request: 1, Options: wamp.Dict{"mode": "skip"}})
	w.receive()
	for id := wamp.ID(10); id < 30; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "wamp.session.count"})
	}
	_ = w.conn.Close()
	eventually(t, "the session is gone, its calls go on", func() bool {
		s := h.bus.Stats()
		return s.Sessions == 0 && s.CallsInFlight == 3
	})
	close(goOn)
	eventually(t, "its calls are over", func() bool { return h.bus.Stats().CallsInFlight == 0 })
}

// Sessions that flood the bus with requests, leave, and come again hurt nobody
// else: what they leave behind is bounded, and others join, subscribe and call as
// if they were not there. It runs alone: others have limits of time.
func TestFloodsOfSessions(t *testing.T) {
	const total, crowd = 4096, 8
	for name, request := range map[string]func(id wamp.ID) wamp.Message{
		"calls": func(id wamp.ID) wamp.Message {
			return &wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.head"}
		},
		"router's": func(id wamp.ID) wamp.Message {
			return &wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "wamp.session.count"}
		},
		"subscriptions": func(id wamp.ID) wamp.Message {
			return &wamp.Subscribe{Request: id, Options: wamp.Dict{}, Topic: wamp.URI("es.event.x" + strconv.Itoa(int(id)%100))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(o *wampbus.Options) { o.Limits.TotalCalls = total })
			stop := make(chan struct{})
			var floods sync.WaitGroup
			for range crowd {
				floods.Go(func() {
					for !closed(stop) {
						w := h.connect(t, codec.MessagePack)
						w.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
						floods.Go(func() { // it is no slow client
							for err := error(nil); err == nil; {
								_, err = w.next()
							}
						})
						for id := range wamp.ID(500) {
							w.send(request(id + 1))
						}
						_ = w.conn.Close()
					}
				})
			}
			most := 0
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				w := h.join(t, codec.MessagePack)
				w.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{}, Topic: "es.head"})
				if m, ok := w.receive().(*wamp.Subscribed); !ok {
					t.Fatalf("a subscription: %#v", m)
				}
				w.result("es.head", nil, nil)
				most = max(most, h.bus.Stats().CallsInFlight)
				_ = w.conn.Close()
			}
			close(stop)
			floods.Wait()
			if most > total {
				t.Errorf("%d calls were in flight, the limit is %d", most, total)
			}
			eventually(t, "nothing is left of the flood", func() bool {
				s := h.bus.Stats()
				return s.CallsInFlight == 0 && s.Sessions == 0
			})
		})
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
