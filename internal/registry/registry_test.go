package registry

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

const (
	pairs     = "../../schema/compat/testdata/pairs"
	testdata  = "../../schema/testdata"
	deposited = "bank.account.MoneyDeposited"
)

func source(t testing.TB, path ...string) schema.Source {
	t.Helper()
	bfbs, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Source{BFBS: bfbs}
}

func fingerprint(t testing.TB, s schema.Source) uint64 {
	t.Helper()
	parsed, err := schema.Parse(s.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Fingerprint
}

// kept is what a registry has kept.
type kept struct{ bfbs [][]byte }

func (k *kept) keep(added []*schema.Schema) error {
	for _, s := range added {
		k.bfbs = append(k.bfbs, s.BFBS)
	}
	return nil
}

func open(t testing.TB, mode compat.Mode, k *kept) *Registry {
	t.Helper()
	r, err := New(Rules{Mode: mode}, k.keep, k.bfbs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever the rules let pass is registered, and nothing else, for every pair
// that the rules are tested with.
func TestRegisterFollowsTheRules(t *testing.T) {
	t.Parallel()
	dirs, err := os.ReadDir(pairs)
	if err != nil || len(dirs) < 80 {
		t.Fatalf("%d pairs, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		for _, mode := range []compat.Mode{compat.FullTransitive, compat.BackwardOnly, compat.NoCheck} {
			t.Run(dir.Name()+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				before, after := source(t, pairs, dir.Name(), "old.bfbs"), source(t, pairs, dir.Name(), "new.bfbs")
				k := new(kept)
				r := open(t, mode, k)
				if err := r.Register(before); err != nil {
					t.Fatal(err)
				}
				findings, err := compat.Check(before.BFBS, after.BFBS, mode)
				if err != nil {
					t.Fatal(err)
				}
				if !related(t, before, after) {
					findings = nil
				}
				err = r.Register(after)
				var broken *compat.IncompatibleError
				errors.As(err, &broken)
				switch {
				case dir.Name() == "event-removed" && mode == compat.NoCheck:
					// The event under its old name stays, and has the topic.
					var argument *event.ArgumentError
					if !errors.As(err, &argument) {
						t.Errorf("two events on one topic: %v", err)
					}
					return
				case len(findings) == 0 && err != nil:
					t.Errorf("no rule is broken: %v", err)
				case len(findings) > 0 && (broken == nil || !slices.Equal(broken.Findings, findings)):
					t.Errorf("got %v, want %v", err, findings)
				}
				_, known := r.Set().ByFingerprint(fingerprint(t, after))
				if want := len(findings) == 0; known != want {
					t.Errorf("registered: %v, want %v", known, want)
				}
				if again := open(t, mode, k); len(again.Set().Schemas()) != len(r.Set().Schemas()) {
					t.Errorf("%d schemas after a restart, %d before", len(again.Set().Schemas()), len(r.Set().Schemas()))
				}
			})
		}
	}
}

// related reports whether a table is in both: otherwise these are two schemas,
// not two versions of one.
func related(t *testing.T, a, b schema.Source) bool {
	one, err := schema.Parse(a.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	other, err := schema.Parse(b.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(one.Tables, func(table *schema.Table) bool {
		_, ok := other.Table(table.Name)
		return ok
	})
}

func TestOldVersionStaysOld(t *testing.T) {
	t.Parallel()
	older, newer := source(t, pairs, "append-field", "old.bfbs"), source(t, pairs, "append-field", "new.bfbs")
	k := new(kept)
	for range 2 { // a restart in between
		r := open(t, compat.FullTransitive, k)
		for _, s := range []schema.Source{older, newer, older} {
			if err := r.Register(s); err != nil {
				t.Fatal(err)
			}
		}
		if _, current, _ := r.Set().Lookup("t.T"); current != fingerprint(t, newer) {
			t.Errorf("current is %016x, want the newer %016x", current, fingerprint(t, newer))
		}
	}
	if len(k.bfbs) != 2 {
		t.Errorf("%d schemas are kept, want each once", len(k.bfbs))
	}
}

func TestCommentsMakeNoVersion(t *testing.T) {
	t.Parallel()
	k := new(kept)
	r := open(t, compat.FullTransitive, k)
	if err := r.Register(source(t, testdata, "bank.bfbs"), source(t, testdata, "bank_plain.bfbs")); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(source(t, testdata, "bank_plain.bfbs")); err != nil || len(k.bfbs) != 1 {
		t.Errorf("%d are kept, %v", len(k.bfbs), err)
	}
}

// A break is found against a version before the last, too, unless the mode
// looks at the last only.
func TestTransitive(t *testing.T) {
	t.Parallel()
	for mode, want := range map[compat.Mode]bool{compat.FullTransitive: true, compat.Full: false} {
		k := new(kept)
		past := open(t, compat.NoCheck, k)
		for _, name := range []string{"field-deleted/old.bfbs", "append-again/old.bfbs"} {
			if err := past.Register(source(t, pairs, name)); err != nil {
				t.Fatal(err)
			}
		}
		err := open(t, mode, k).Register(source(t, pairs, "append-again/new.bfbs"))
		var broken *compat.IncompatibleError
		if got := errors.As(err, &broken); got != want {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	k := new(kept)
	r := open(t, compat.FullTransitive, k)
	bank, bank2, several := source(t, testdata, "bank.bfbs"), source(t, testdata, "bank2.bfbs"), source(t, testdata, "several.bfbs")
	bank2.Name = "bank2.fbs"
	if err := r.Register(bank); err != nil {
		t.Fatal(err)
	}
	err := r.Register(several, bank2) // which drops tables
	var broken *compat.IncompatibleError
	if !errors.As(err, &broken) || len(broken.Findings) < 3 {
		t.Fatalf("got %v, want several findings", err)
	}
	for _, part := range []string{"bank2.fbs", "FULL_TRANSITIVE", "table-removed", "not registered", openedRemoved} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	wrong := map[string]schema.Source{
		"foreign bytes": {BFBS: []byte("no schema")},
		"cut":           {BFBS: bank.BFBS[:len(bank.BFBS)/2]},
		"no sense":      source(t, testdata, "wrong.bfbs"),
	}
	for name, w := range wrong {
		var invalid *event.InvalidDataError
		if err := r.Register(several, w); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var argument *event.ArgumentError
	if err := r.Register(several, source(t, testdata, "rival.bfbs")); !errors.As(err, &argument) {
		t.Errorf("a rival for a topic: %v", err)
	}
	if len(k.bfbs) != 1 || len(r.Set().Schemas()) != 1 {
		t.Errorf("%d kept, %d visible: something of what was refused is there", len(k.bfbs), len(r.Set().Schemas()))
	}
	if err := r.Register(several); err != nil || len(k.bfbs) != 2 {
		t.Errorf("afterwards: %v, %d kept", err, len(k.bfbs))
	}
}

const openedRemoved = "bank.account.Opened: table-removed"

// A file may be split: what another one declares is not removed. The files are
// registered together, or those that take the tables over could not be told from
// a version that lacks the others.
func TestMovedToAnotherFile(t *testing.T) {
	t.Parallel()
	whole, rest, moved := source(t, "testdata/whole/shop.bfbs"), source(t, "testdata/split/shop.bfbs"), source(t, "testdata/split/stock.bfbs")
	for _, sources := range [][]schema.Source{{rest, moved}, {moved, rest}} {
		r := open(t, compat.FullTransitive, new(kept))
		if err := r.Register(whole); err != nil {
			t.Fatal(err)
		}
		if err := r.Register(sources...); err != nil {
			t.Fatal(err)
		}
		for typ, want := range map[string]schema.Source{"shop.Shelf": rest, "shop.Sold": rest, "shop.Stocked": moved} {
			if _, current, _ := r.Set().Lookup(typ); current != fingerprint(t, want) {
				t.Errorf("%s is of %016x", typ, current)
			}
		}
		if err := r.Register(source(t, "testdata/split/shop2.bfbs")); err != nil {
			t.Errorf("the next version of what is left: %v", err)
		}
	}
	r := open(t, compat.FullTransitive, new(kept))
	if err := r.Register(whole); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(rest); err == nil || !strings.Contains(err.Error(), "shop.Stocked: table-removed") {
		t.Errorf("a table that is nowhere any more: %v", err)
	}
}

// Nothing is visible before it is kept.
func TestKeptBeforeVisible(t *testing.T) {
	t.Parallel()
	bank := source(t, testdata, "bank.bfbs")
	broken := errors.New("disk on fire")
	var r *Registry
	fail := true
	r, err := New(Rules{}, func([]*schema.Schema) error {
		if _, _, ok := r.Set().Lookup(deposited); ok {
			t.Error("visible while it is being kept")
		}
		if fail {
			return broken
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Register(bank); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, _, ok := r.Set().Lookup(deposited); ok {
		t.Error("visible though it was not kept")
	}
	fail = false
	grown := r.Set().Grown()
	if err := r.Register(bank); err != nil {
		t.Error(err)
	}
	select {
	case <-grown:
	default:
		t.Error("nobody was told")
	}
	if _, _, ok := r.Set().Lookup(deposited); !ok {
		t.Error("not visible")
	}
}

// Racing registrations of one schema keep it once; two that break each other
// never both get in.
func TestRacingRegistrations(t *testing.T) {
	t.Parallel()
	one, other := source(t, pairs, "field-retyped", "old.bfbs"), source(t, pairs, "field-retyped", "new.bfbs")
	for range 50 {
		k := new(kept)
		r := open(t, compat.FullTransitive, k)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() { _ = r.Register([]schema.Source{one, other}[i%2]) })
		}
		wg.Wait()
		if len(k.bfbs) != 1 {
			t.Fatalf("%d are kept, want 1", len(k.bfbs))
		}
	}
}

func TestDamagedHistory(t *testing.T) {
	t.Parallel()
	good := source(t, testdata, "bank.bfbs").BFBS
	if _, err := New(Rules{}, nil, [][]byte{good, good[:9]}); err == nil || !strings.Contains(err.Error(), "kept schema 2 of 2") {
		t.Errorf("got %v", err)
	}
	if _, err := New(Rules{Mode: compat.Mode(99)}, nil, nil); err == nil {
		t.Error("mode 99 is taken")
	}
}

// Limits hold for what is new, say what and how much, and leave alone what is
// known or was kept under others.
func TestLimits(t *testing.T) {
	t.Parallel()
	bank, several := source(t, testdata, "bank.bfbs"), source(t, testdata, "several.bfbs")
	both := len(bank.BFBS) + len(several.BFBS)
	for name, c := range map[string]struct {
		rules Rules
		want  event.TooLargeError
	}{
		"as many as there may be": {Rules{MaxSchemas: 2, MaxBytes: both}, event.TooLargeError{}},
		"too many":                {Rules{MaxSchemas: 1}, event.TooLargeError{Bound: "max_schemas", Limit: 1, Actual: 2}},
		"too large":               {Rules{MaxBytes: both - 1}, event.TooLargeError{Bound: "max_schema_bytes", Limit: uint64(both - 1), Actual: uint64(both)}},
	} {
		k := new(kept)
		r, err := New(c.rules, k.keep, nil)
		if err != nil {
			t.Fatal(err)
		}
		check := func(err error) {
			t.Helper()
			var large *event.TooLargeError
			if got := errors.As(err, &large); got != (c.want.Bound != "") || got && *large != c.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		check(r.Register(bank, several))
		if err := r.Register(bank, bank); err != nil {
			t.Errorf("%s: one, twice: %v", name, err)
		}
		check(r.Register(several))
		if want := map[bool]int{true: 2, false: 1}[c.want.Bound == ""]; len(k.bfbs) != want {
			t.Errorf("%s: %d are kept", name, len(k.bfbs))
		}
		again, err := New(Rules{MaxSchemas: 1, MaxBytes: 1}, k.keep, k.bfbs)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Register(bank); err != nil {
			t.Errorf("%s: a known one under tighter limits: %v", name, err)
		}
	}
}

// A version that was left out is refused, and told from one that takes away.
func TestOlderVersionThatWasLeftOut(t *testing.T) {
	t.Parallel()
	older, newer := source(t, pairs, "append-field", "old.bfbs"), source(t, pairs, "append-field", "new.bfbs")
	r := open(t, compat.FullTransitive, new(kept))
	if err := r.Register(newer); err != nil {
		t.Fatal(err)
	}
	err := r.Register(older)
	var broken *compat.IncompatibleError
	if !errors.As(err, &broken) || !broken.Older || !strings.Contains(err.Error(), "never registered here") {
		t.Errorf("an older version: %v", err)
	}
	err = r.Register(source(t, pairs, "field-retyped", "new.bfbs"))
	if !errors.As(err, &broken) || broken.Older || strings.Contains(err.Error(), "older version") {
		t.Errorf("another version: %v", err)
	}
}
