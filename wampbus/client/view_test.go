package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
)

// row is one of the bank's balances, as a server has it.
func row(owner string) []byte {
	b := flatbuffers.NewBuilder(0)
	account, name := b.CreateString("42"), b.CreateString(owner)
	b.StartObject(3)
	b.PrependUOffsetTSlot(0, account, 0)
	b.PrependUOffsetTSlot(1, name, 0)
	b.PrependInt64Slot(2, 7, 0)
	b.FinishSizePrefixed(b.EndObject())
	return b.FinishedBytes()
}

// The rows of a view are verified as its events are: by the schemas of the
// client's code where they have the view, unless it is to hand them on as they
// are. That they are whole, and as many as the server says, is looked at always.
func TestImpostorRows(t *testing.T) {
	t.Parallel()
	set, err := schema.Load(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	ada, bob := row("ada"), row("bob")
	evil := bytes.Clone(ada)
	copy(evil[4:], []byte{0xff, 0xff, 0xff, 0x7f}) // where its table is
	invalid := func(err error) bool { return errors.As(err, new(*event.InvalidDataError)) }
	fine := func(err error) bool { return err == nil }
	other := func(err error) bool { return err != nil && !invalid(err) }
	for name, c := range map[string]struct {
		view     string
		rows     []byte
		count    int
		verified func(error) bool
		as       func(error) bool // unverified
	}{
		"good":            {"balances", slices.Concat(ada, bob), 2, fine, fine},
		"none":            {"balances", nil, 0, fine, fine},
		"bad":             {"balances", slices.Concat(ada, evil), 2, invalid, fine},
		"of another view": {"loans", evil, 1, fine, fine},
		"too few":         {"balances", ada, 2, other, other},
		"too many":        {"balances", slices.Concat(ada, bob), 1, other, other},
		"torn":            {"balances", slices.Concat(ada, bob[:len(bob)-1]), 2, other, other},
		"torn prefix":     {"balances", slices.Concat(ada, bob[:3]), 2, other, other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			url := impostor(t, answering(wamp.List{c.rows}, wamp.Dict{"count": c.count, "position": 9}))
			for _, o := range []Options{{Schemas: set}, {Unverified: true}} {
				want := c.verified
				if o.Unverified {
					want = c.as
				}
				o.Serialization = "cbor"
				cl, err := Dial(ctx, url, o)
				if err != nil {
					t.Fatal(err)
				}
				rows, err := cl.ViewList(ctx, c.view, Range{}, ViewOptions{})
				if !want(err) || err == nil && !bytes.Equal(rows.Data, c.rows) || err != nil && rows.Data != nil {
					t.Errorf("list, unverified %v: %d bytes, %v", o.Unverified, len(rows.Data), err)
				}
				if c.count == 1 {
					got, _, err := cl.ViewGet(ctx, c.view, "42", ViewOptions{})
					if !want(err) || err == nil && !bytes.Equal(got, c.rows) || err != nil && got != nil {
						t.Errorf("get, unverified %v: %d bytes, %v", o.Unverified, len(got), err)
					}
				}
				if err := cl.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
