package client

import (
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// FuzzAnswers: whatever a server sends, in whatever format, what the client
// hands out of it is whole, in order, and can be read by generated code.
func FuzzAnswers(f *testing.F) {
	set, err := schema.Load(account.Schema)
	if err != nil {
		f.Fatal(err)
	}
	c := &Client{options: Options{Schemas: set, EventQueue: 1 << 20}}
	sub := &Subscription{client: c, topic: "es."}
	var page []byte
	var records [][]byte
	for i, p := range []event.Proposed{account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: 7, Memo: "memo"}), account.NewClosed()} {
		at := uint64(i + 1)
		b, err := event.BuildRecord(&event.Append{Stream: "account-1", Events: []event.Proposed{p}}, 0, p.Schema, nil)
		if err != nil {
			f.Fatal(err)
		}
		event.Seal(b, event.ID{byte(at)}, at, at)
		records, page = append(records, b), append(page, b...)
	}
	facts := wamp.Dict{"store": storeID.String(), "count": 3, "last": 3, "head": 3, "more": false}
	for i, format := range codec.Formats {
		for _, m := range []wamp.Message{
			&wamp.Result{Request: 1, Details: wamp.Dict{}, Arguments: wamp.List{page}, ArgumentsKw: facts},
			&wamp.Result{Request: 1, Details: wamp.Dict{}, Arguments: wamp.List{append(row("ada"), row("bob")...)}, ArgumentsKw: wamp.Dict{"count": 2, "position": 3, "cursor": "abc"}},
			&wamp.Result{Request: 1, Details: wamp.Dict{}, ArgumentsKw: wamp.Dict{"first": 1, "last": 2, "version": 2, "ids": wamp.List{storeID.String()}, "repeated": false}},
			&wamp.Event{Subscription: 1, Publication: 2, Details: wamp.Dict{"topic": account.OpenedTopic}, Arguments: wamp.List{records[0]}, ArgumentsKw: wamp.Dict{"position": 1, "previous": 0}},
			&wamp.Event{Subscription: 1, Publication: 2, Details: wamp.Dict{}, ArgumentsKw: wamp.Dict{"position": 1, "store": storeID.String()}},
			&wamp.Error{Type: wamp.CALL, Request: 1, Details: wamp.Dict{}, Error: "es.error.conflict", Arguments: wamp.List{"conflict"}, ArgumentsKw: wamp.Dict{"condition": 0, "stream": "a-1", "expected": "none", "actual": 1}},
		} {
			b, err := format.Append(nil, m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), b, false)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte, backward bool) {
		m, err := codec.Formats[int(kind)%len(codec.Formats)].Decode(b)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *wamp.Error:
			if wireError(m).Error() == "" {
				t.Errorf("%v says nothing", m)
			}
		case *wamp.Event:
			if live, _, err := sub.live(m); err == nil && !live.Event.IsZero() {
				touch(t, live.Event)
			}
		case *wamp.Result:
			s := event.Selection{Backward: backward}
			if page, err := c.page(m, &s); err == nil {
				n := 0
				for e, err := range page.Events() {
					if err != nil {
						t.Fatalf("a page was accepted, and ends with %v", err)
					}
					touch(t, e)
					n++
				}
				if n != page.Count {
					t.Errorf("%d events in a page of %d", n, page.Count)
				}
			}
			if rows, err := c.rows("balances", "es.view.balances.list", m); err == nil {
				for row, err := range rows.All() {
					if err != nil {
						t.Fatalf("rows were accepted, and end with %v", err)
					}
					r := account.TrustedBalance(row)
					_ = r.Account() + r.Owner()
				}
			}
			_, _ = receipt("es.append", m)
		}
	})
}

// touch reads all of an event that was accepted.
func touch(t *testing.T, e event.Event) {
	t.Helper()
	if e.Position() == 0 && e.Type() == "" {
		t.Error("an event without position and type was accepted")
	}
	if opened, ok := account.AsOpened(e); ok {
		_ = opened.Owner()
	}
	if credited, ok := account.AsCredited(e); ok {
		_, _ = credited.Amount(), credited.Memo()
	}
	for range e.Tags() {
	}
}
