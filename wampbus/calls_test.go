package wampbus

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
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
		if _, ok := (<-answers).(*wamp.Yield); !ok {
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
