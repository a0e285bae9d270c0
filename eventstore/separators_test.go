package eventstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestFlippedSeparators flips bits of the keys in branch pages of log and index,
// under an open store. They have no checksum, and lead to a page beside the right
// one: nothing that is read there may be taken for what was looked for, and
// nothing be taken for missing.
func TestFlippedSeparators(t *testing.T) {
	t.Parallel()
	b := newBranched(t)
	noticed := map[string]int{}
	for _, file := range []string{"log", "index"} {
		b.flip(filepath.Join(b.dir, file, "data.mdb"), noticed)
	}
	t.Logf("flips that were noticed: %v", noticed)
	for _, tree := range []string{"log", "keys", "ids", "streams", "categories", "types", "tags"} {
		if noticed[tree] == 0 {
			t.Errorf("%s: nothing was noticed: the test shows nothing", tree)
		}
	}
}

// branched is a store with branch pages in all large trees.
type branched struct {
	*testing.T
	dir    string
	store  *eventstore.Store
	events []event.Event
	keys   int
	// lists are the positions of each, by tree and name.
	lists map[string]map[string][]uint64
}

func newBranched(t *testing.T) *branched {
	t.Helper()
	b := &branched{T: t, dir: t.TempDir(), keys: 160, lists: map[string]map[string][]uint64{}}
	b.open()
	for i := range b.keys {
		a := event.Append{Stream: fmt.Sprintf("ledger-%d", i%3), Key: branchKey(i)}
		for range 4 {
			a.Events = append(a.Events, eventstoretest.Noted(fmt.Sprintf("n%d", i%2), int64(i)), eventstoretest.Struck(1))
		}
		if _, err := b.store.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for e, err := range b.store.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		b.events = append(b.events, e)
		b.list("streams", e.Stream(), e.Position())
		b.list("categories", "ledger", e.Position())
		b.list("types", e.Type(), e.Position())
		for tag := range e.Tags() {
			b.list("tags", tag, e.Position())
		}
	}
	// Once more, so that everything is in log and index, and the index written
	// in one go.
	verifyAndClose(t, b.store)
	if err := os.RemoveAll(filepath.Join(b.dir, "index")); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { verifyAndClose(t, b.store) })
	return b
}

func branchKey(i int) string { return fmt.Sprintf("key-%03d", i) }

func (b *branched) open() {
	b.Helper()
	var err error
	if b.store, err = eventstore.Open(b.dir, eventstore.WithShortRuns(flipOptions())); err != nil {
		b.Fatal(err)
	}
}

func (b *branched) list(tree, name string, position uint64) {
	if b.lists[tree] == nil {
		b.lists[tree] = map[string][]uint64{}
	}
	b.lists[tree][name] = append(b.lists[tree][name], position)
}

// flip flips bits of the separators in a file, one at a time.
func (b *branched) flip(name string, noticed map[string]int) {
	b.Helper()
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	content, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	const usual = 16
	step := max(1, *flipStep/usual)
	bit := 0
	for _, s := range separators(content) {
		key := content[s.at : s.at+s.size]
		tree, probes := b.probes(key)
		want := make([]string, len(probes))
		for i, p := range probes {
			if want[i], err = p.read(); err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
		}
		for ; bit < 8*s.size; bit += step {
			at := s.at + bit/8
			b.write(file, at, content[at]^1<<(bit%8))
			damaged := false
			for i, p := range probes {
				got, err := p.read()
				switch {
				case errors.As(err, new(*event.CorruptError)):
					damaged = true
				case err != nil || got != want[i]:
					b.Errorf("%s: bit %d of separator %q flipped: %s: %d bytes, want %d, %v", tree, bit, key, p.name, len(got), len(want[i]), err)
				}
			}
			if damaged {
				noticed[tree]++
			}
			b.write(file, at, content[at])
		}
		bit -= 8 * s.size // so that not the same bits of all are flipped
	}
}

func (b *branched) write(file *os.File, at int, value byte) {
	b.Helper()
	if _, err := file.WriteAt([]byte{value}, int64(at)); err != nil {
		b.Fatal(err)
	}
}

// separator is where a key of a branch page is in its file.
type separator struct{ at, size int }

// separators finds them by LMDB's format: a page begins with number 8, pad 2,
// flags 2, and lower 2, which is the end of the nodes' offsets that begin at 16;
// a node is child 6, size of the key 2, key. The first node's key is not used.
func separators(content []byte) (all []separator) {
	const header, branchPage, nodeHeader = 16, 1, 8
	size := os.Getpagesize()
	for start := 2 * size; start < len(content); start += size {
		word := func(at int) int { return int(binary.NativeEndian.Uint16(content[start+at:])) }
		if word(10) != branchPage || binary.NativeEndian.Uint64(content[start:]) != uint64(start/size) {
			continue
		}
		for at := header + 2; at < word(12); at += 2 {
			node := word(at)
			all = append(all, separator{start + node + nodeHeader, word(node + 6)})
		}
	}
	return all
}

// probe is a read that has to pass a separator, or goes somewhere near.
type probe struct {
	name string
	read func() (string, error)
}

// probes returns which tree a separator is of, and what to read.
func (b *branched) probes(key []byte) (tree string, all []probe) {
	name, _, _ := bytes.Cut(key, []byte{0})
	name = bytes.TrimSuffix(name, []byte{1})
	for tree, lists := range b.lists {
		if lists[string(name)] != nil {
			return tree, b.listProbes(tree)
		}
	}
	switch {
	case len(key) == 16:
		return "log", b.logProbes(event.ID(key))
	case strings.HasPrefix(string(key), "key-"):
		return "keys", b.keyProbes()
	case len(key) == 8:
		return "ids", b.listProbes("categories")
	}
	b.Fatalf("a separator is of no tree: %q", key)
	return "", nil
}

func (b *branched) logProbes(id event.ID) (all []probe) {
	at := slices.IndexFunc(b.events, func(e event.Event) bool { return e.ID() == id })
	if at < 0 {
		b.Fatalf("a separator has id %v, which no event has", id)
	}
	for _, i := range []int{at - 9, at - 1, at, at + 1, at + 4, at + 9} {
		if i < 0 || i >= len(b.events)-1 {
			continue
		}
		e := b.events[i]
		all = append(all,
			b.page(event.Selection{AfterID: e.ID(), Limit: 1}),
			b.page(event.Selection{AfterID: e.ID(), Limit: 1, Backward: true}),
			b.page(event.Selection{Since: e.Time(), Limit: 1}),
			b.page(event.Selection{After: e.Position(), Limit: 1}))
	}
	return all
}

func (b *branched) keyProbes() (all []probe) {
	for i := range b.keys {
		key := branchKey(i)
		all = append(all, probe{key, func() (string, error) {
			receipt, ok, err := b.store.AppendByKey(b.Context(), key)
			return fmt.Sprint(receipt.First, ok), err
		}})
	}
	return all
}

func (b *branched) listProbes(tree string) (all []probe) {
	for name, positions := range b.lists[tree] {
		sel := event.Selection{Limit: 1}
		switch tree {
		case "streams":
			sel.Stream = name
			all = append(all, b.conflict(event.StreamAbsent{Stream: name}))
		case "categories":
			sel.Category = name
		case "types":
			sel.Types = []string{name}
		case "tags":
			sel.Tags = []string{name}
		}
		const parts = 12
		for i := range parts {
			n := i * (len(positions) - 1) / parts
			forward, backward := sel, sel
			forward.After = positions[n] - 1
			backward.After, backward.Backward = positions[n]+1, true
			all = append(all, b.page(forward), b.page(backward))
			if tree == "streams" {
				version := sel
				version.FromVersion = uint64(n) + 1
				all = append(all, b.page(version))
			}
			if len(sel.Types)+len(sel.Tags) > 0 {
				all = append(all, b.conflict(event.NoneMatch{Query: event.Query{{Types: sel.Types, Tags: sel.Tags}}, After: positions[n] - 1}))
			}
		}
	}
	return all
}

func (b *branched) page(sel event.Selection) probe {
	return probe{fmt.Sprintf("%+v", sel), func() (string, error) {
		page, err := b.store.ReadPage(b.Context(), sel, event.PageOptions{})
		return string(page.Records), err
	}}
}

// conflict appends under a condition that does not hold.
func (b *branched) conflict(c event.Condition) probe {
	a := event.Append{Stream: "other", Events: []event.Proposed{eventstoretest.Struck(1)}, Conditions: []event.Condition{c}}
	return probe{fmt.Sprintf("%+v", c), func() (string, error) {
		receipt, err := b.store.Append(b.Context(), a)
		var conflict *event.ConflictError
		switch {
		case errors.As(err, &conflict):
			return fmt.Sprint(conflict.Position), nil
		case err == nil:
			err = fmt.Errorf("it was accepted, at position %d", receipt.First)
		}
		return "", err
	}}
}
