package wampbus

import (
	"testing"
	"testing/synctest"

	"github.com/gammazero/nexus/v3/wamp"
)

// An answer that comes when its request was given up answers no other.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to, from := make(chan wamp.Message), make(chan wamp.Message)
		e := newEndpoint(to, from, func(wamp.Message) {})
		defer e.pumping.Wait()
		defer e.Close()
		type outcome struct {
			id  wamp.ID
			err error
		}
		register := func(uri string) (*wamp.Register, chan outcome) {
			done := make(chan outcome, 1)
			go func() {
				id, err := e.register(uri, "")
				done <- outcome{id, err}
			}()
			return (<-to).(*wamp.Register), done
		}
		a, given := register("bank.a")
		if o := <-given; o.err == nil {
			t.Error("registered without an answer")
		}
		b, taken := register("bank.b")
		from <- &wamp.Registered{Request: a.Request, Registration: 7}
		from <- &wamp.Error{Type: wamp.REGISTER, Request: a.Request, Error: "too.late"}
		from <- &wamp.Registered{Request: b.Request, Registration: 8}
		if o := <-taken; o.err != nil || o.id != 8 {
			t.Errorf("bank.b is registered as %d, %v, want 8", o.id, o.err)
		}
	})
}
