package eventstore_test

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// The bank's schema is that of examples/bank; these are other versions of it.
var (
	//go:embed testdata/bank/earlier.bfbs
	earlierBank []byte
	//go:embed testdata/bank/later.bfbs
	laterBank []byte
	//go:embed testdata/bank/broken.bfbs
	brokenBank []byte
)

var presentBank = account.Schema[0].BFBS

func openBank(t *testing.T, dir string, o eventstore.Options, bfbs ...[]byte) *eventstore.Store {
	t.Helper()
	for _, b := range bfbs {
		o.Schemas = append(o.Schemas, schema.Source{Name: "bank.fbs", BFBS: b})
	}
	store, err := eventstore.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, store) })
	return store
}

func fingerprint(t *testing.T, bfbs []byte) uint64 {
	t.Helper()
	s, err := schema.Parse(bfbs)
	if err != nil {
		t.Fatal(err)
	}
	return s.Fingerprint
}

// credited builds an event as code of the earlier schema does, and of the later
// one when there is a currency.
func credited(amount int64, currency string) event.Proposed {
	b := flat.Get()
	if currency == "" {
		b.StartObject(1)
		b.PrependInt64Slot(0, amount, 0)
		return event.Proposed{Type: account.CreditedType, Data: flat.Finish(b, b.EndObject())}
	}
	text := b.CreateString(currency)
	b.StartObject(3)
	b.PrependInt64Slot(0, amount, 0)
	b.PrependUOffsetTSlot(2, text, 0)
	return event.Proposed{Type: account.CreditedType, Data: flat.Finish(b, b.EndObject())}
}

// opened is an event that looks the same in all versions.
func opened(owner string) event.Proposed {
	p := account.NewOpened(owner)
	p.Schema = 0 // whatever is current
	return p
}

func add(t *testing.T, store *eventstore.Store, events ...event.Proposed) {
	t.Helper()
	if _, err := store.Append(t.Context(), event.Append{Stream: "account-1", Events: events}); err != nil {
		t.Fatal(err)
	}
}

// Three releases write one stream; today's code reads all of it, and every
// event says which schema it was written with.
func TestEveryVersionIsReadByTodaysCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openBank(t, dir, eventstore.Options{}, earlierBank)
	add(t, store, opened("ada"), credited(1, ""))
	_ = store.Close()

	store = openBank(t, dir, eventstore.Options{}, presentBank)
	add(t, store, account.NewCredited(account.CreditedFields{Amount: 10, Memo: "for the cat"}))
	_ = store.Close()

	store = openBank(t, dir, eventstore.Options{}, laterBank)
	add(t, store, credited(100, "EUR"))
	_ = store.Close()

	// A rollback: today's code on what the later one left.
	store = openBank(t, dir, eventstore.Options{}, presentBank)
	accounts := account.NewHandler(store, bank.Teller{}, aggregate.Options{})
	if _, err := accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1000}); err != nil {
		t.Fatal(err)
	}
	state, version, err := accounts.Load(t.Context(), "1")
	if err != nil || *state != (account.Account{Owner: "ada", Balance: 1111}) || version != 5 {
		t.Errorf("folded %+v at version %d, %v", state, version, err)
	}
	earlier, present, later := fingerprint(t, earlierBank), fingerprint(t, presentBank), fingerprint(t, laterBank)
	want := []struct {
		schema uint64
		memo   string
		tagged bool
	}{{schema: earlier}, {schema: earlier}, {schema: present, memo: "for the cat"}, {schema: later, tagged: true}, {schema: present}}
	for e, err := range store.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		w := want[e.Position()-1]
		c, ok := account.AsCredited(e)
		if e.Schema() != w.schema || e.HasTag("currency:EUR") != w.tagged || ok && c.Memo() != w.memo {
			t.Errorf("%v: schema %016x, memo %q, want %+v", e, e.Schema(), c.Memo(), w)
		}
	}
	if _, current, _ := store.Schemas().Lookup(account.CreditedType); current != later {
		t.Errorf("after the rollback %016x is current, want the latest, %016x", current, later)
	}
	if _, _, ok := store.Schemas().Lookup("bank.account.Yielded"); !ok {
		t.Error("a type of the latest schema is forgotten")
	}
}

// A program that was updated before it had an answer repeats what it had asked
// for, and is told the same, also when its schema derives other tags by now.
func TestKeysOutliveVersionsOfSchemas(t *testing.T) {
	for _, updated := range [][]byte{presentBank, laterBank} {
		dir := t.TempDir()
		ask := func(store *eventstore.Store, owner string, tags ...string) (event.Receipt, error) {
			p := opened(owner)
			p.Tags = tags
			return store.Append(t.Context(), event.Append{Stream: "account-1", Events: []event.Proposed{p}, Key: "open"})
		}
		before := openBank(t, dir, eventstore.Options{}, earlierBank)
		first, err := ask(before, "ada", "from:web")
		if err != nil {
			t.Fatal(err)
		}
		verifyAndClose(t, before)

		store := openBank(t, dir, eventstore.Options{}, updated)
		again, err := ask(store, "ada", "from:web")
		if err != nil || !again.Repeated || again.First != first.First || again.IDs[0] != first.IDs[0] {
			t.Errorf("repeated: %+v, %v; want %+v", again, err, first)
		}
		var reused *event.KeyReusedError
		if _, err := ask(store, "ada"); !errors.As(err, &reused) {
			t.Errorf("without the tag: %v", err)
		}
		if _, err := ask(store, "eve", "from:web"); !errors.As(err, &reused) {
			t.Errorf("with other data: %v", err)
		}
		if head, err := store.Head(t.Context()); err != nil || head.Position != 1 {
			t.Errorf("head %+v, %v", head, err)
		}
	}
}

func TestOpenRefusesWhatBreaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openBank(t, dir, eventstore.Options{}, presentBank)
	add(t, store, account.NewOpened("ada"))
	_ = store.Close()
	_, err := eventstore.Open(dir, eventstore.Options{Schemas: schema.Sources{{Name: "bank.fbs", BFBS: brokenBank}}})
	var broken *compat.IncompatibleError
	if !errors.As(err, &broken) || broken.Mode != compat.FullTransitive {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{
		dir, "bank.account.Credited.amount: field-retyped", "bank.account.Credited.memo: required-added",
		"bank.account.Opened.owner: tag-changed", "not registered",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	store = openBank(t, dir, eventstore.Options{})
	if n := len(store.Schemas().Schemas()); n != 1 {
		t.Errorf("%d schemas are kept, want the one that was there", n)
	}
	_ = store.Close()
	// Whoever knows better may say so.
	openBank(t, dir, eventstore.Options{Compatibility: compat.NoCheck}, brokenBank)
}

func TestRegister(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openBank(t, dir, eventstore.Options{}, presentBank)
	for range 2 {
		if findings, err := store.Register(t.Context(), laterBank); findings != nil || err != nil {
			t.Fatalf("%v, %v", findings, err)
		}
	}
	add(t, store, account.NewOpened("ada"), credited(5, "EUR"))
	findings, err := store.Register(t.Context(), brokenBank)
	var broken *compat.IncompatibleError
	if !errors.As(err, &broken) || len(findings) < 3 || len(findings) != len(broken.Findings) {
		t.Errorf("%v, %v", findings, err)
	}
	var invalid *event.InvalidDataError
	if _, err := store.Register(t.Context(), laterBank[:100]); !errors.As(err, &invalid) || invalid.Type != "reflection.Schema" {
		t.Errorf("half a schema: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Register(ctx, brokenBank); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_ = store.Close()
	if _, err := store.Register(t.Context(), earlierBank); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
	store = openBank(t, dir, eventstore.Options{}) // it is kept
	if _, current, _ := store.Schemas().Lookup(account.CreditedType); current != fingerprint(t, laterBank) || len(store.Schemas().Schemas()) != 2 {
		t.Errorf("after a restart %016x is current of %d", current, len(store.Schemas().Schemas()))
	}
}

// Appends go on while schemas are registered, and every event names a schema
// that the store has: verifyAndClose looks at each.
func TestRegisterUnderAppends(t *testing.T) {
	t.Parallel()
	store := openBank(t, t.TempDir(), eventstore.Options{}, earlierBank)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := range 100 {
				_, err := store.Append(t.Context(), event.Append{Stream: "account-1", Events: []event.Proposed{credited(int64(i), "")}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, bfbs := range [][]byte{presentBank, laterBank, presentBank, earlierBank} {
		if _, err := store.Register(t.Context(), bfbs); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if n := len(store.Schemas().Schemas()); n != 3 {
		t.Errorf("%d schemas", n)
	}
}
