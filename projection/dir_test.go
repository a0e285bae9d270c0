package projection

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func TestOpenNeedsAName(t *testing.T) {
	t.Parallel()
	if _, err := Open("", newMemory(), Options{Logger: quiet()}, counts(nil)); err == nil || !strings.Contains(err.Error(), "name is empty") {
		t.Errorf("no name: %v", err)
	}
}

func TestViewsThatAreCutOffAreBuiltAgain(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	var last uint64
	for i := range 200 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada", Amount: int64(i)})
	}
	name := filepath.Join(dir, lmdbenv.DataFile)
	for _, keep := range []func(size int64) int64{
		func(size int64) int64 { return size - 4096 },
		func(size int64) int64 { return size - 100 },
		func(int64) int64 { return 2 * 4096 },
		func(int64) int64 { return 1000 },
	} {
		e := open(t, dir, m, items(nil), counts(nil))
		agree(t, e, m, last, "items", "counts")
		closeEngine(t, e)
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, keep(info.Size())); err != nil {
			t.Fatal(err)
		}
	}
	agree(t, open(t, dir, m, items(nil), counts(nil)), m, last, "items", "counts")
}

func TestFileThatIsNotOfViewsIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	junk := bytes.Repeat([]byte("junk"), 5000)
	name := filepath.Join(dir, lmdbenv.DataFile)
	if err := os.WriteFile(name, junk, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, newMemory(), Options{Logger: quiet()}, counts(nil))
	if !errors.Is(err, lmdbenv.ErrForeign) || !strings.Contains(err.Error(), "give another directory") {
		t.Errorf("junk: %v", err)
	}
	after, err := os.ReadFile(name)
	if entries, _ := os.ReadDir(dir); err != nil || !bytes.Equal(after, junk) || len(entries) != 1 {
		t.Errorf("the junk was touched: %v, %v", entries, err)
	}
}

// A view that its engine did not keep up with is behind the log, not behind the
// others.
func TestDirectoryKnowsTheLogsEnd(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	for i := range 10 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	var commits atomic.Int64
	stopped := make(chan struct{})
	e := openWith(t, dir, m, func(at failpoint) error {
		// The first batch of seven is stored, and nothing behind it.
		if at == beforeCommit && commits.Add(1) > 1 {
			if commits.Load() == 2 {
				close(stopped)
			}
			return errors.New("crash")
		}
		return nil
	}, counts(nil))
	<-stopped
	closeEngine(t, e)
	d, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	versions, position, head, err := d.List()
	if err != nil || position != 7 || head != 10 || len(versions) != 1 || versions[0].Behind != 3 {
		t.Errorf("position %d, head %d, %+v, %v", position, head, versions, err)
	}
}

// However many versions there are, they are listed as of one moment.
func TestDirectoryLists(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	defs := []Definition{items(nil), counts(nil)}
	for _, version := range []string{"2", "3", "4", "5", "6"} {
		def := counts(nil)
		def.Version = version
		defs = append(defs, def)
	}
	e := open(t, dir, m, defs...)
	for _, def := range defs[2:] {
		countOf(t, e, last, "counts@"+def.Version, "ada")
	}
	agree(t, e, m, last, "items", "counts")
	closeEngine(t, e)
	d, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	versions, position, head, err := d.List()
	if err != nil || position != last || head != last || len(versions) != len(defs) {
		t.Fatalf("position %d, %+v, %v", position, versions, err)
	}
	for _, v := range versions {
		if v.Rows != 1 || v.Status != "live" || v.Position != last || v.Serving != (v.Version == "1") {
			t.Errorf("listed: %+v", v)
		}
	}
}
