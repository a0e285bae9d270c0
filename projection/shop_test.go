package projection

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	flatbuffers "github.com/google/flatbuffers/go"
	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
)

var (
	//go:embed testdata/shop.bfbs
	shopBFBS []byte
	//go:embed testdata/shop2.bfbs
	shop2BFBS []byte
	//go:embed testdata/shop_changed.bfbs
	shopChangedBFBS []byte
	//go:embed testdata/shop_clash.bfbs
	shopClashBFBS []byte
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shop(bfbs []byte) schema.Sources { return schema.Sources{{Name: "shop.fbs", BFBS: bfbs}} }

// item is a row of the view "items"; "" is an absent string.
type item struct {
	SKU, Owner, Code, Note string
	Amount                 int64
}

func (i item) pack() []byte {
	b := flat.Get()
	var offsets [5]flatbuffers.UOffsetT
	for field, s := range []string{i.SKU, i.Owner, "", i.Code, i.Note} {
		if s != "" {
			offsets[field] = b.CreateString(s)
		}
	}
	b.StartObject(5)
	for _, field := range []int{0, 1, 3, 4} {
		if offsets[field] != 0 {
			b.PrependUOffsetTSlot(field, offsets[field], 0)
		}
	}
	b.PrependInt64Slot(2, i.Amount, 0)
	return flat.FinishSizePrefixed(b, b.EndObject())
}

// unpackItem reads a row with FlatBuffers' own accessors, not with ours.
func unpackItem(row []byte) item {
	t := table(row)
	return item{SKU: text(t, 0), Owner: text(t, 1), Amount: t.GetInt64Slot(4+2*2, 0), Code: text(t, 3), Note: text(t, 4)}
}

func table(row []byte) *flatbuffers.Table {
	return &flatbuffers.Table{Bytes: row, Pos: 4 + flatbuffers.GetUOffsetT(row[4:])}
}

func text(t *flatbuffers.Table, id flatbuffers.VOffsetT) string {
	at := t.Offset(4 + 2*id)
	if at == 0 {
		return ""
	}
	return t.String(t.Pos + flatbuffers.UOffsetT(at))
}

func packCount(owner string, n uint64) []byte {
	b := flat.Get()
	name := b.CreateString(owner)
	b.StartObject(2)
	b.PrependUOffsetTSlot(0, name, 0)
	b.PrependUint64Slot(1, n, 0)
	return flat.FinishSizePrefixed(b, b.EndObject())
}

func unpackCount(row []byte) (string, uint64) {
	t := table(row)
	return text(t, 0), t.GetUint64Slot(6, 0)
}

// The events of the tests. Their data is the item as text: a projection does
// not look into it.
const (
	separator = "\x1f"

	stocked = "shop.Stocked" // the item is there, or changed
	removed = "shop.Removed"
	ignored = "other.Ignored"
)

func (m *memory) addItem(t fataler, typ string, i item) uint64 {
	t.Helper()
	fields := []string{i.SKU, i.Owner, i.Code, i.Note, strconv.FormatInt(i.Amount, 10)}
	return m.add(t, "item-"+i.SKU, typ, []byte(strings.Join(fields, separator)))
}

func itemOf(e event.Event) (i item) {
	fields := strings.Split(string(e.Data()), separator)
	i.SKU, i.Owner, i.Code, i.Note = fields[0], fields[1], fields[2], fields[3]
	i.Amount, _ = strconv.ParseInt(fields[4], 10, 64)
	return i
}

// items returns the definition of the view "items". sabotage may be nil.
func items(sabotage func(event.Event) error) Definition {
	return Definition{
		Table: "shop.Item", Schema: shop(shopBFBS), Types: []string{stocked, removed},
		Apply: func(tx *Tx, e event.Event) error {
			if sabotage != nil {
				if err := sabotage(e); err != nil {
					return err
				}
			}
			i := itemOf(e)
			if e.Type() == removed {
				return tx.Delete(StringValue(i.SKU))
			}
			return tx.Put(i.pack())
		},
	}
}

// counts returns the definition of the view "counts".
func counts(sabotage func(event.Event) error) Definition {
	return Definition{
		Table: "shop.Count", Schema: shop(shopBFBS), Types: []string{"shop."},
		Apply: func(tx *Tx, e event.Event) error {
			if sabotage != nil {
				if err := sabotage(e); err != nil {
					return err
				}
			}
			owner := itemOf(e).Owner
			row, found, err := tx.Get(StringValue(owner))
			if err != nil {
				return err
			}
			var n uint64
			if found {
				_, n = unpackCount(row)
			}
			return tx.Put(packCount(owner, n+1))
		},
	}
}

// fold is what the views must be after the first n events of the log.
func (m *memory) fold(n uint64) (byKey map[string]item, seen map[string]uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	byKey, seen = make(map[string]item), make(map[string]uint64)
	for _, record := range m.records[:n] {
		e := event.Trusted(record)
		if e.Type() == ignored {
			continue
		}
		i := itemOf(e)
		seen[i.Owner]++
		if e.Type() == removed {
			delete(byKey, i.SKU)
		} else {
			byKey[i.SKU] = i
		}
	}
	return byKey, seen
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t testing.TB, dir string, log event.Reader, defs ...Definition) *Engine {
	t.Helper()
	return openWith(t, dir, log, nil, defs...)
}

func openWith(t testing.TB, dir string, log event.Reader, fail func(failpoint) error, defs ...Definition) *Engine {
	t.Helper()
	e, err := Open(dir, log, Options{
		Logger: quiet(), BatchEvents: 7, MaxWait: 30 * time.Second, MapSize: 1 << 30, failpoint: fail,
	}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	return e
}

// closeEngine checks the views after every test, as it closes them.
func closeEngine(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Check(context.Background()); err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// agree waits until the views are at position and compares them with the fold.
func agree(t fataler, e *Engine, m *memory, position uint64, views ...string) {
	t.Helper()
	err := e.At(context.Background(), position, func(s *Snapshot) error {
		byKey, seen := m.fold(s.Position())
		for _, view := range views {
			got, want := dumpView(t, s, view), wantView(view, byKey, seen)
			if !maps.Equal(got, want) {
				return fmt.Errorf("view %q at %d: got %v, want %v", view, s.Position(), got, want)
			}
		}
		return nil
	}, views...)
	if err != nil {
		t.Fatal(err)
	}
}

func dumpView(t fataler, s *Snapshot, name string) map[string]string {
	t.Helper()
	v, err := s.View(name)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for row, err := range v.Scan(Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "items") {
			i := unpackItem(row)
			got[i.SKU] = fmt.Sprint(i)
		} else {
			owner, n := unpackCount(row)
			got[owner] = fmt.Sprint(n)
		}
	}
	return got
}

func wantView(name string, byKey map[string]item, seen map[string]uint64) map[string]string {
	want := make(map[string]string)
	if strings.HasPrefix(name, "items") {
		for key, i := range byKey {
			want[key] = fmt.Sprint(i)
		}
		return want
	}
	for owner, n := range seen {
		want[owner] = fmt.Sprint(n)
	}
	return want
}

// statsOf waits until the stats of the version of a view that serves satisfy a
// condition.
func statsOf(t fataler, e *Engine, view string, condition func(ViewStats) bool) ViewStats {
	t.Helper()
	return statsWhere(t, e, func(v ViewStats) bool { return v.Name == view && v.Serving }, condition)
}

// statsOfVersion waits for a version.
func statsOfVersion(t fataler, e *Engine, view, version string, condition func(ViewStats) bool) ViewStats {
	t.Helper()
	return statsWhere(t, e, func(v ViewStats) bool { return v.Name == view && v.Version == version }, condition)
}

func statsWhere(t fataler, e *Engine, which, condition func(ViewStats) bool) ViewStats {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		_, changed, _ := e.reached(0, nil)
		stats := e.Stats()
		at := slices.IndexFunc(stats.Views, which)
		if condition(stats.Views[at]) {
			return stats.Views[at]
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal(fmt.Sprintf("the view did not get there: %+v", stats))
		}
	}
}
