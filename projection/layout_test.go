package projection

import (
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

var (
	//go:embed testdata/nested.bfbs
	nestedBFBS []byte
	//go:embed testdata/nested_grown.bfbs
	nestedGrownBFBS []byte
	//go:embed testdata/nested_clash.bfbs
	nestedClashBFBS []byte
)

// things returns a definition whose rows hold types of their own.
func things(bfbs []byte, version string) Definition {
	return Definition{
		Table: "nest.Thing", Schema: schema.Sources{{Name: "nested.fbs", BFBS: bfbs}}, Version: version,
		Apply: func(*Tx, event.Event) error { return nil },
	}
}

func TestTypesOfFieldsBelongToTheLayout(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	closeEngine(t, open(t, dir, m, things(nestedBFBS, "")))
	for _, other := range []struct {
		bfbs      []byte
		gone, new []string
	}{
		{nestedGrownBFBS, nil, []string{
			"enum nest.Body value 3 Sound:nest.Sound", "enum nest.Grade value 2 Highest", "table nest.Part field 2 weight:int = 0",
			"table nest.Sketch field 1 title:string optional", "table nest.Sound field 0 seconds:int = 0",
		}},
		{
			nestedClashBFBS,
			[]string{"struct nest.Point {x:int at 0, y:int at 4}, 8 bytes", "table nest.Part field 1 size:int = 0"},
			[]string{"struct nest.Point {x:long at 0, y:long at 8}, 16 bytes", "table nest.Part field 1 size:long = 0"},
		},
	} {
		_, err := Open(dir, m, Options{Logger: quiet()}, things(other.bfbs, ""))
		var changed *LayoutError
		if !errors.As(err, &changed) {
			t.Fatalf("without another version: %v", err)
		}
		slices.Sort(changed.Gone)
		slices.Sort(changed.New)
		if !slices.Equal(changed.Gone, other.gone) || !slices.Equal(changed.New, other.new) {
			t.Errorf("gone %q\nnew %q", changed.Gone, changed.New)
		}
	}
}

// A view is compared by the schema stored with it, however its layout was
// written down then.
func TestLayoutsWithoutTypesOfFields(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	e := open(t, dir, m, things(nestedBFBS, ""))
	b := e.views["things"][0].main
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		value, err := json.Marshal(layout{Version: "1", Lines: b.view.layout[:1], Indexes: []string{}})
		if err != nil {
			return err
		}
		return txn.Put(e.catalog.db, slotKey(layoutPrefix, "things", b.slot), value, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	closeEngine(t, open(t, dir, m, things(nestedBFBS, "")))
	if _, err := Open(dir, m, Options{Logger: quiet()}, things(nestedGrownBFBS, "")); !errors.As(err, new(*LayoutError)) {
		t.Errorf("another schema: %v", err)
	}
}

func TestVersionsWhoseTypesCantBeReadAlike(t *testing.T) {
	t.Parallel()
	closeEngine(t, open(t, t.TempDir(), newMemory(), things(nestedBFBS, ""), things(nestedGrownBFBS, "2")))
	_, err := Open(t.TempDir(), newMemory(), Options{Logger: quiet()}, things(nestedBFBS, ""), things(nestedClashBFBS, "2"))
	if err == nil || !strings.Contains(err.Error(), "struct nest.Point is {x:int") {
		t.Errorf("another struct: %v", err)
	}
}
