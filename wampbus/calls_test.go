package wampbus

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// What another router passes on when the link to it is over starts nothing.
func TestCallsOfEndedLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, err := memstore.New(account.Schema)
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(Options{Log: log, Schemas: log.Schemas(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = b.Close() }()
		ctx, leave := context.WithCancel(t.Context())
		from := &link{bus: b, ctx: ctx, room: newOutbox(1<<20, nil), remote: &Remote{Roles: Reader}}
		answers := make(chan wamp.Message, 1)
		c := newCallee(from, &endpoint{to: answers, done: make(chan struct{})})
		call := &wamp.Invocation{Request: 1, Details: wamp.Dict{wamp.OptProcedure: "es.info"}}

		c.start(call)
		if _, ok := (<-answers).(*yield); !ok {
			t.Error("a link that is there gets no answer")
		}
		leave()
		c.start(call)
		synctest.Wait()
		served := uint64(0)
		for _, n := range b.Stats().Calls {
			served += n
		}
		if served != 1 || len(answers) != 0 {
			t.Errorf("%d calls were served and %d answered, want those of the link that was there", served, len(answers))
		}
	})
}

// What is not known to have been done is told as that, whatever the cause.
func TestUnknownBeforeItsCause(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{&event.ConflictError{}, &event.TooLargeError{}, context.Canceled, &event.UnavailableError{Message: "overloaded"}, nil} {
		uri, facts := errorFacts(&event.UnavailableError{Message: "the answer did not arrive", Unknown: true, Cause: cause})
		if uri != errUnavailable || facts["outcome"] != "unknown" {
			t.Errorf("%v: %s %v", cause, uri, facts)
		}
	}
}

// narrow is a link to a router that takes no long messages.
type narrow struct {
	dial.Link
	written []byte
}

func (*narrow) Limit() int             { return 300 }
func (n *narrow) Write(b []byte) error { n.written = b; return nil }

// What another router does not take of an answer is refused there as it is here.
func TestAnswerTooLargeForRouter(t *testing.T) {
	t.Parallel()
	for procedure, want := range map[string]wamp.URI{"es.read": errTooLarge, "es.append": errUnavailable, "es.command.account.open": errUnavailable, "bank.own": errTooLarge} {
		to := new(narrow)
		p := &remotePeer{link: to, format: codec.JSON, log: slog.New(slog.DiscardHandler)}
		if err := p.send(&yield{Yield: wamp.Yield{Request: 7, Arguments: wamp.List{strings.Repeat("x", 300)}}, procedure: procedure}); err != nil {
			t.Fatal(err)
		}
		m, err := codec.JSON.Decode(to.written)
		e, ok := m.(*wamp.Error)
		if !ok || e.Error != want || e.Request != 7 || want == errUnavailable && e.ArgumentsKw["outcome"] != "unknown" {
			t.Errorf("%s: %s, %v", procedure, to.written, err)
		}
	}
}
