package wampbus_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// What caused a command, and what goes with it, reaches its events over the
// wire.
func TestCommandsCarryTheirCause(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Commander,
		Handlers: []wampbus.CommandHandler{account.NewHandler(store, bank.Teller{}, aggregate.Options{})},
	})
	c, ctx := h.dial(t, client.Options{}), t.Context()
	send := func(command string, data []byte, o client.CommandOptions) event.Event {
		t.Helper()
		if _, err := c.Command(ctx, "account", "1", command, data, o); err != nil {
			t.Fatal(err)
		}
		for e, err := range event.Read(ctx, store, event.Selection{Backward: true, Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		return event.Event{}
	}
	want := func(e event.Event, causation, correlation event.ID) {
		t.Helper()
		if e.Causation() != causation || e.Correlation() != correlation {
			t.Errorf("%v is caused by %v in %v, want %v in %v", e, e.Causation(), e.Correlation(), causation, correlation)
		}
	}
	credit := account.NewCredit(account.CreditFields{Amount: 1})
	first := send("open", account.NewOpen("ada"), client.CommandOptions{})
	want(first, event.ID{}, event.ID{})
	other := event.ID{1}
	second := send("credit", credit, client.CommandOptions{Causation: first.ID(), Correlation: other, Metadata: []event.Meta{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}}})
	want(second, first.ID(), other)
	var metadata []event.Meta
	for key, value := range second.Metadata() {
		metadata = append(metadata, event.Meta{Key: key, Value: value})
	}
	if len(metadata) != 2 || metadata[0].Key != "b" || metadata[1].Value != "2" {
		t.Errorf("metadata %v", metadata)
	}
	ctx = event.WithCause(ctx, second)
	want(send("credit", credit, client.CommandOptions{}), second.ID(), other)
	_, err = c.Command(ctx, "account", "1", "credit", credit, client.CommandOptions{Metadata: []event.Meta{{Key: "es.command"}}})
	if !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("a key of the framework's: %v", err)
	}
}

// fallen is a teller who panics over debits.
type fallen struct{ bank.Teller }

func (fallen) DecideDebit(*account.Account, account.Debit, *account.Decision) error {
	panic("the password is 1234")
}

// That a decider panicked is not that the log was unavailable, and what with is
// nobody's business.
func TestPanickingDecider(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Commander,
		Handlers: []wampbus.CommandHandler{account.NewHandler(store, fallen{}, aggregate.Options{})},
	})
	c := h.dial(t, client.Options{})
	_, err = c.Command(deadline(t), "account", "1", "debit", account.NewDebit(account.DebitFields{Amount: 1}), client.CommandOptions{})
	var internal *client.Error
	if !errors.As(err, &internal) || internal.URI != "es.error.internal" || strings.Contains(err.Error(), "1234") || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
}

// slow is a teller who ponders over debits until released.
type slow struct {
	bank.Teller
	release chan struct{}
}

func (s slow) DecideDebit(*account.Account, account.Debit, *account.Decision) error {
	<-s.release
	return nil
}

// A caller gets its answer in time although the decider never returns, and the
// call is over.
func TestEndlessDecider(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	teller := slow{release: make(chan struct{})}
	accounts := account.NewHandler(store, teller, aggregate.Options{})
	h := serve(t, wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Commander,
		Handlers: []wampbus.CommandHandler{accounts},
	})
	w := h.join(t, codec.MessagePack)
	w.send(&wamp.Call{
		Request: 1, Options: wamp.Dict{"timeout": 20}, Procedure: "es.command.account.debit",
		Arguments: wamp.List{"1", account.NewDebit(account.DebitFields{Amount: 1})},
	})
	if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrTimeout {
		t.Errorf("got %#v", m)
	}
	eventually(t, "no call is in flight", func() bool { return h.bus.Stats().CallsInFlight == 0 })
	if s := accounts.Stats(); s.Abandoned != 1 {
		t.Errorf("stats %+v", s)
	}
	close(teller.release)
	eventually(t, "the decider has returned", func() bool { return accounts.Stats().Abandoned == 0 })
}
