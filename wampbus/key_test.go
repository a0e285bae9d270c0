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
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// A handler beside a remote log answers a repeated command with the first
// receipt, though deciding it again would refuse.
func TestRepeatedCommandOfARemoteHandler(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.deposit(t, "1", 5) // 10 in all
	debit := func() (aggregate.Receipt, error) {
		accounts := account.NewHandler(h.dial(t, client.Options{}), bank.Teller{}, aggregate.Options{})
		return accounts.Debit(deadline(t), "1", account.DebitFields{Amount: 10}, aggregate.Key("k"))
	}
	first, err := debit()
	if err != nil {
		t.Fatal(err)
	}
	again, err := debit()
	if first.Repeated = true; err != nil || again != first {
		t.Errorf("again %+v, %v; want %+v", again, err, first)
	}
	if n := len(h.events(t)); n != 6 {
		t.Errorf("%d events are stored, want 6", n)
	}
}

// Keys are found by the principal that used them, in a command or an append,
// and by nobody else.
func TestKeysArePrincipals(t *testing.T) {
	t.Parallel()
	file := userFile(t, [4]string{"ann", "writer", users.Ticket, "a"}, [4]string{"bob", "commander", users.Ticket, "b"}, [4]string{"cyd", "reader", users.Ticket, "c"})
	h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = wampbus.Writer, file })
	dial := func(authID, secret string) *client.Client {
		return h.dial(t, client.Options{AuthID: authID, Credentials: ticket(secret)})
	}
	ann, bob, anybody := dial("ann", "a"), dial("bob", "b"), h.dial(t, client.Options{})
	if _, err := ann.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ann")}, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Command(deadline(t), "account", "2", "open", account.NewOpen("bob"), client.CommandOptions{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		*client.Client
		first uint64
	}{"ann": {ann, 1}, "bob": {bob, 2}, "anybody": {anybody, 0}} {
		r, found, err := c.AppendByKey(deadline(t), "k")
		if err != nil || found != (c.first > 0) || r.First != c.first || r.Repeated != found {
			t.Errorf("%s: %+v, %v, %v", name, r, found, err)
		}
	}
	if _, _, err := dial("cyd", "c").AppendByKey(deadline(t), "k"); !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("a reader: %v", err)
	}
	if _, _, err := anybody.AppendByKey(deadline(t), "ann/k"); !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("another one's: %v", err)
	}
}

// es.key answers what es.append did.
func TestKeyOnTheWire(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.JSON)
	opened := wamp.List{[]any{account.OpenedType, account.NewOpened("ada").Data}}
	want := w.result("es.append", opened, wamp.Dict{"stream": "account-1", "key": "k"}).ArgumentsKw
	want["found"], want["repeated"] = true, true
	want["first"], want["last"], want["version"] = int64(1), int64(1), int64(1)
	sameFacts(t, "found", w.result("es.key", wamp.List{"k"}, nil).ArgumentsKw, want)
	sameFacts(t, "not found", w.result("es.key", wamp.List{"other"}, nil).ArgumentsKw, wamp.Dict{"found": false})
	for name, c := range map[string]struct {
		args   wamp.List
		kwargs wamp.Dict
		uri    wamp.URI
	}{
		"none":      {nil, nil, "wamp.error.invalid_argument"},
		"empty":     {wamp.List{""}, nil, "wamp.error.invalid_argument"},
		"no text":   {wamp.List{7}, nil, "wamp.error.invalid_argument"},
		"two":       {wamp.List{"k", "l"}, nil, "wamp.error.invalid_argument"},
		"keyword":   {wamp.List{"k"}, wamp.Dict{"key": "k"}, "wamp.error.invalid_argument"},
		"slash":     {wamp.List{"ann/k"}, nil, "wamp.error.invalid_argument"},
		"too large": {wamp.List{strings.Repeat("k", event.MaxKey+1)}, nil, "es.error.too_large"},
	} {
		if e, ok := w.call("es.key", c.args, c.kwargs).(*wamp.Error); !ok || e.Error != c.uri {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// Before a log that can't look keys up, a handler leaves it to the append.
func TestLogWithoutKeys(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, wampbus.Options{Log: struct{ event.Log }{store}, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
	c := h.dial(t, client.Options{})
	var unknown *event.UnknownError
	if _, _, err := c.AppendByKey(deadline(t), "k"); !errors.As(err, &unknown) || unknown.Kind != "procedure" || unknown.Name != "es.key" {
		t.Errorf("got %v", err)
	}
	accounts := account.NewHandler(c, bank.Teller{}, aggregate.Options{})
	if _, err := accounts.Open(deadline(t), "1", "ada", aggregate.Key("k")); err != nil {
		t.Error(err)
	}
}
