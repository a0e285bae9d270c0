package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/upcast"
)

// pair was how two items were stocked at once.
const pair = "old.PairStocked"

// split makes two of a pair, and an event that no view wants, unless the pair
// has the owner fails.
func split(fails string) upcast.Rule {
	return upcast.Rule{
		Type: pair, Into: []string{stocked, ignored},
		Upcast: func(e event.Event) ([]event.Proposed, error) {
			i := itemOf(e)
			if i.Owner == fails {
				return nil, errors.New("whose is it?")
			}
			var made []event.Proposed
			for _, side := range []string{"left", "right"} {
				data := strings.Join([]string{i.SKU + side, i.Owner, "", "", fmt.Sprint(i.Amount)}, separator)
				made = append(made, event.Proposed{Type: stocked, Data: []byte(data)})
			}
			return append(made, event.Proposed{Type: ignored, Data: made[0].Data}), nil
		},
	}
}

func openUpcasting(t *testing.T, m *memory, rule upcast.Rule, defs ...Definition) *Engine {
	t.Helper()
	upcasters, err := upcast.New(rule)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), Upcasters: upcasters, MaxWait: 30 * time.Second, MapSize: 1 << 30}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	return e
}

func wantRows(t *testing.T, e *Engine, position uint64, view string, want map[string]string) {
	t.Helper()
	err := e.At(context.Background(), position, func(s *Snapshot) error {
		if got := dumpView(t, s, view); !maps.Equal(got, want) {
			return fmt.Errorf("view %q: got %v, want %v", view, got, want)
		}
		return nil
	}, view)
	if err != nil {
		t.Error(err)
	}
}

// Views take the types that upcasters make, and never see the old one.
func TestViewsSeeUpcastEvents(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	last := m.addItem(t, pair, item{SKU: "2", Owner: "ada", Amount: 3})
	var positions []uint64
	e := openUpcasting(t, m, split(""), items(func(e event.Event) error {
		if e.Type() != stocked {
			return fmt.Errorf("a %s, which the view did not ask for", e.Type())
		}
		positions = append(positions, e.Position())
		return nil
	}), counts(nil))
	wantRows(t, e, last, "items", map[string]string{
		"1":      fmt.Sprint(item{SKU: "1", Owner: "ada"}),
		"2left":  fmt.Sprint(item{SKU: "2left", Owner: "ada", Amount: 3}),
		"2right": fmt.Sprint(item{SKU: "2right", Owner: "ada", Amount: 3}),
	})
	wantRows(t, e, last, "counts", map[string]string{"ada": "3"})
	if got := fmt.Sprint(positions); got != "[1 2 2]" {
		t.Errorf("positions %v", got)
	}
	statsOf(t, e, "items", func(v ViewStats) bool { return v.Applied == 2 })
	if err := e.Rebuild(context.Background(), "items"); err != nil {
		t.Error(err)
	}
}

func TestFailingUpcasterParksTheView(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	m.addItem(t, pair, item{SKU: "2", Owner: "nobody"})
	last := m.addItem(t, removed, item{SKU: "1", Owner: "ada"})
	// A view that wants nothing of what the event becomes does not mind.
	gone := counts(nil)
	gone.Types = []string{removed, pair}
	e := openUpcasting(t, m, split("nobody"), items(nil), gone)
	wantRows(t, e, last, "counts", map[string]string{"ada": "1"})
	stats := statsOf(t, e, "items", func(v ViewStats) bool { return v.Parked != nil })
	if p := stats.Parked; p.Position != 2 || p.Type != pair || !strings.Contains(p.Message, "whose is it?") || !strings.Contains(p.Message, "position 2") {
		t.Errorf("parked at %+v", p)
	}
}
