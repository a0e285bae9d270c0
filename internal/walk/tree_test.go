//go:build cgo && unix

package walk

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const perBlock = 126

// tabled is an environment with a table of ids and records of all sizes, those
// above 2 KiB in pages of their own; every 50th is not there, and every 70th of
// another place.
type tabled struct {
	env     *lmdbenv.Env
	db, ids lmdbenv.DBI
	last    uint64
}

func (e tabled) there(position uint64) bool {
	return position > 0 && position <= e.last && position%50 != 0 && position%70 != 0
}

func newTabled(t testing.TB, last uint64) tabled {
	t.Helper()
	e := tabled{last: last}
	e.env, e.db = env(t)
	var err error
	if e.ids, err = e.env.OpenDB("ids"); err != nil {
		t.Fatal(err)
	}
	if err := e.env.Update(func(txn *lmdbenv.Txn) error {
		block := make([]byte, 0, perBlock*16)
		for position := uint64(1); position <= last; position++ {
			id := idOf(position)
			block = append(block, id[:]...)
			if position%perBlock == 0 || position == last {
				key := binary.BigEndian.AppendUint64(nil, (position-1)/perBlock)
				if err := txn.Put(e.ids, key, block[:cap(block)], 0); err != nil {
					return err
				}
				block = block[:0]
			}
			if position%50 == 0 {
				continue
			}
			r := record(t, position, int(position%17))
			if position%90 == 0 {
				r = record(t, position, 700)
			}
			if position%70 == 0 {
				r = record(t, position+1, 1)
			}
			if err := txn.Put(e.db, id[:], r, 0); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

// trees returns those of ids and records in the state of a transaction.
func (e tabled) trees(t testing.TB, m *Map, txn *lmdbenv.Txn) (ids, records Tree) {
	t.Helper()
	ids, err := m.Tree(e.env, txn, e.ids, "ids", 8)
	if err != nil {
		t.Fatal(err)
	}
	records, err = m.Tree(e.env, txn, e.db, "log", 16)
	if err != nil {
		t.Fatal(err)
	}
	return ids, records
}

// TestFindAllFindsWhatIsThere asks for positions in any order, of trees of one
// page and of several levels: what is there is found without LMDB, and nothing
// else.
func TestFindAllFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	if !able {
		t.Skip("this processor checks no records here")
	}
	for _, last := range []uint64{1, 3, 130, 40_000} {
		e := newTabled(t, last)
		random := rand.New(rand.NewPCG(last, 1))
		var m Map
		var places Places
		if err := e.env.View(func(txn *lmdbenv.Txn) error {
			ids, records := e.trees(t, &m, txn)
			b := new(Batch)
			for range 200 {
				positions := make([]uint64, 1+random.IntN(Max))
				for i := range positions {
					positions[i] = 1 + random.Uint64N(last+last/8+1)
				}
				positions[random.IntN(len(positions))] = 1 << 63
				b.FindAll(&ids, &records, &places, positions, perBlock)
				for i, position := range positions {
					got, ok := b.Placed(i, position)
					if ok != e.there(position) {
						t.Fatalf("of %d, position %d: %v", last, position, ok)
					}
					if !ok {
						continue
					}
					id := idOf(position)
					if want, err := txn.Get(e.db, id[:]); err != nil || !bytes.Equal(got, want) || &got[0] != &want[0] {
						t.Fatalf("of %d, position %d: not what LMDB returns, %v", last, position, err)
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFindAllIsBounded asks for many large records: no more are read, and have
// their checksums computed, than make half a megabyte.
func TestFindAllIsBounded(t *testing.T) {
	t.Parallel()
	if !able {
		t.Skip("this processor checks no records here")
	}
	const records, size = 80, 40 << 10
	e := tabled{last: records}
	e.env, e.db = env(t)
	var err error
	if e.ids, err = e.env.OpenDB("ids"); err != nil {
		t.Fatal(err)
	}
	if err := e.env.Update(func(txn *lmdbenv.Txn) error {
		block := make([]byte, perBlock*16)
		for position := uint64(1); position <= records; position++ {
			id := idOf(position)
			copy(block[16*(position-1):], id[:])
			if err := txn.Put(e.db, id[:], record(t, position, size/8), 0); err != nil {
				return err
			}
		}
		return txn.Put(e.ids, make([]byte, 8), block, 0)
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.env.View(func(txn *lmdbenv.Txn) error {
		ids, tree := e.trees(t, new(Map), txn)
		var positions []uint64
		for position := range uint64(records) {
			positions = append(positions, position+1)
		}
		b := new(Batch)
		b.FindAll(&ids, &tree, new(Places), positions, perBlock)
		const most = maxFound/size + 1
		for i, position := range positions {
			if _, ok := b.Placed(i, position); ok != (i < most) {
				t.Errorf("position %d: %v, want the first %d", position, ok, most)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestPlacesOfALogThatGrows looks records up by what was learned in transactions
// before and after: a log that only grows has them there for ever, but for those
// of its last page.
func TestPlacesOfALogThatGrows(t *testing.T) {
	t.Parallel()
	if !able {
		t.Skip("this processor checks no records here")
	}
	e := tabled{}
	e.env, e.db = env(t)
	var err error
	if e.ids, err = e.env.OpenDB("ids"); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	block := make([]byte, perBlock*16)
	grow := func(n uint64) {
		t.Helper()
		if err := e.env.Update(func(txn *lmdbenv.Txn) error {
			for range n {
				e.last++
				id := idOf(e.last)
				copy(block[16*((e.last-1)%perBlock):], id[:])
				key := binary.BigEndian.AppendUint64(nil, (e.last-1)/perBlock)
				pad := int(e.last / 1000 * 7) // more and more
				if e.last%100 == 0 {
					pad = 700
				}
				if err := txn.Put(e.db, id[:], record(t, e.last, pad), lmdbenv.Append); err != nil {
					return err
				}
				if err := txn.Put(e.ids, key, block, 0); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var m Map
	var places Places
	b := new(Batch)
	find := func(txn *lmdbenv.Txn, last uint64, newest bool) {
		t.Helper()
		ids, records := e.trees(t, &m, txn)
		positions := []uint64{last, last - 1} // of the last page
		for len(positions) < 40 {
			positions = append(positions, 1+random.Uint64N(last))
		}
		b.FindAll(&ids, &records, &places, positions, perBlock)
		for i, position := range positions {
			got, ok := b.Placed(i, position)
			if !ok {
				t.Fatalf("of %d, position %d is not found", last, position)
			}
			id := idOf(position)
			want, err := txn.Get(e.db, id[:])
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("of %d, position %d: another record, %v", last, position, err)
			}
			if newest && &got[0] != &want[0] {
				t.Fatalf("of %d, position %d: found where nobody keeps it from being written to", last, position)
			}
		}
	}
	grow(3)
	step := func() {
		old, err := e.env.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		last := e.last
		for range random.IntN(4) {
			grow(1 + random.Uint64N(60))
		}
		if random.IntN(8) == 0 {
			grow(500)
		}
		if err := e.env.View(func(txn *lmdbenv.Txn) error {
			find(txn, e.last, true)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		find(old.Txn, last, false)
	}
	for e.last < 9000 {
		step()
	}
	known := 0
	if err := e.env.View(func(txn *lmdbenv.Txn) error {
		_, records := e.trees(t, &m, txn)
		for position := uint64(1); position <= e.last; position++ {
			known += 1 - b.FindKnown(&records, &places, []uint64{position})
		}
		if b.FindKnown(&records, &places, []uint64{e.last}) == 0 {
			t.Error("a record of the last page is known")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if uint64(known) < e.last/2 {
		t.Errorf("%d of %d are known by their places", known, e.last)
	}
}

// TestTreeIsOfItsTransaction has an older transaction find nothing of a newer one.
func TestTreeIsOfItsTransaction(t *testing.T) {
	t.Parallel()
	e := newTabled(t, 200)
	var m Map
	old, err := e.env.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := e.env.Update(func(txn *lmdbenv.Txn) error {
		id := idOf(50)
		return txn.Put(e.db, id[:], record(t, 50, 1), 0)
	}); err != nil {
		t.Fatal(err)
	}
	b := new(Batch)
	found := func(txn *lmdbenv.Txn) bool {
		ids, records := e.trees(t, &m, txn)
		b.FindAll(&ids, &records, new(Places), []uint64{49, 50}, perBlock)
		if _, ok := b.Placed(0, 49); ok != able {
			t.Errorf("position 49: %v", ok)
		}
		_, ok := b.Placed(1, 50)
		return ok
	}
	if found(old.Txn) {
		t.Error("a transaction finds what was stored after it began")
	}
	if err := e.env.View(func(txn *lmdbenv.Txn) error {
		if found(txn) != able {
			t.Error("what was stored is not found")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestNoTree asks trees that have nothing.
func TestNoTree(t *testing.T) {
	t.Parallel()
	env, db := env(t)
	if err := env.View(func(txn *lmdbenv.Txn) error {
		empty, err := new(Map).Tree(env, txn, db, "log", 16)
		if err != nil {
			return err
		}
		b := new(Batch)
		b.FindAll(&empty, &empty, new(Places), []uint64{1, 2}, perBlock)
		for i := range 2 {
			if _, ok := b.Placed(i, uint64(i+1)); ok {
				t.Error("an empty tree has a record")
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// image is a data file between two pages that can't be read, with the roots of
// its trees.
type image struct {
	original, memory []byte
	places           Places
	idsRoot, logRoot uint64
	pageSize, last   uint64
	positions        []uint64
}

func newImage(t testing.TB) *image {
	t.Helper()
	e := newTabled(t, 3000)
	m := &image{pageSize: uint64(os.Getpagesize()), last: e.last}
	if err := e.env.View(func(txn *lmdbenv.Txn) error {
		ids, records := e.trees(t, new(Map), txn)
		m.idsRoot, m.logRoot = uint64(ids.c.root), uint64(records.c.root)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.original, err = os.ReadFile(filepath.Join(e.env.Dir(), lmdbenv.DataFile)); err != nil {
		t.Fatal(err)
	}
	page := int(m.pageSize)
	m.original = m.original[:len(m.original)/page*page]
	m.memory = fenced(t, len(m.original))
	copy(m.memory, m.original)
	for position := uint64(1); position <= m.last; position += 73 {
		m.positions = append(m.positions, position)
	}
	return m
}

// fenced is memory between two pages that can't be read.
func fenced(t testing.TB, size int) []byte {
	t.Helper()
	page := os.Getpagesize()
	all, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(all) })
	for _, fence := range [][]byte{all[:page], all[page+size:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return all[page : page+size]
}

// check looks the positions up, and fails unless all that is placed is the
// record of that position. It returns how many are.
func (m *image) check(t testing.TB, b *Batch) (placed int) {
	t.Helper()
	base, pages := unsafe.Pointer(&m.memory[0]), uint64(len(m.memory))/m.pageSize
	ids := treeAt(base, pages, m.pageSize, m.idsRoot, 8)
	records := treeAt(base, pages, m.pageSize, m.logRoot, 16)
	b.FindAll(&ids, &records, &m.places, m.positions, perBlock)
	for i, position := range m.positions {
		got, ok := b.Placed(i, position)
		if !ok {
			continue
		}
		placed++
		if at := uintptr(unsafe.Pointer(&got[0])) - uintptr(base); uint64(at)+uint64(len(got)) > uint64(len(m.memory)) {
			t.Fatalf("position %d: %d bytes at %d, which is not in the file", position, len(got), at)
		}
		if event.CheckRecord(got) != nil || event.Trusted(got).Position() != position {
			t.Fatalf("position %d: what is placed is not its record", position)
		}
	}
	return placed
}

// misplace has the places name any page, or none.
func (m *image) misplace(random *rand.Rand) {
	m.places = Places{}
	for first := uint64(1); first <= m.last; first += 64 {
		if page := random.Uint64N(uint64(len(m.memory))/m.pageSize + 2); random.IntN(3) > 0 {
			m.places.learn(page, first)
		}
	}
}

// TestDamagedTreeIsNotLeft damages trees everywhere, by a bit and by whole bytes:
// whatever is read is inside of the file, and what is found is what was asked for.
func TestDamagedTreeIsNotLeft(t *testing.T) {
	if !able {
		t.Skip("this processor checks no records here")
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // says where
	m, b := newImage(t), new(Batch)
	whole := m.check(t, b)
	if whole < len(m.positions)*9/10 {
		t.Fatalf("%d of %d positions are found", whole, len(m.positions))
	}
	random := rand.New(rand.NewPCG(3, 4))
	fewer := 0
	for range 30_000 {
		at := random.IntN(len(m.memory))
		if random.IntN(2) == 0 {
			at = at / int(m.pageSize) * int(m.pageSize) // what a page says about itself
			at += random.IntN(64)
		}
		if random.IntN(4) == 0 {
			m.misplace(random)
		}
		before := m.memory[at]
		for _, after := range []byte{before ^ 1<<random.IntN(8), 0, 0xff} {
			if m.memory[at] = after; m.check(t, b) < whole {
				fewer++
			}
		}
		m.memory[at] = before
	}
	if fewer == 0 {
		t.Error("no damage was met")
	}
}

// node is the only one of a leaf; at is where in the page it says it is.
type node struct {
	key   []byte
	flags uint16
	size  uint32
	value []byte
	at    int
}

// leaf writes a page with one node, as far as there is room for it.
func leaf(page []byte, number uint64, n node) {
	const pageLeaf, header = 2, 16
	binary.LittleEndian.PutUint64(page, number)
	binary.LittleEndian.PutUint16(page[10:], pageLeaf)
	binary.LittleEndian.PutUint16(page[12:], header+2)
	binary.LittleEndian.PutUint16(page[header:], uint16(n.at))
	b := binary.LittleEndian.AppendUint32(nil, n.size)
	b = binary.LittleEndian.AppendUint16(b, n.flags)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(n.key)))
	copy(page[n.at:], append(append(b, n.key...), n.value...))
}

// TestEdgeOfTheMap has nodes and values that reach beyond the last page, which
// can't be read: they are not found.
func TestEdgeOfTheMap(t *testing.T) {
	if !able {
		t.Skip("this processor checks no records here")
	}
	const overflow, big = 4, 1
	size := os.Getpagesize()
	id := idOf(1)
	small, large := record(t, 1, 1), record(t, 1, size/8)
	block := append(id[:], make([]byte, 16*perBlock-16)...)
	stated := func(record []byte, size int) []byte { // with a length that is not its own
		record = bytes.Clone(record)
		binary.LittleEndian.PutUint32(record, uint32(size-4))
		return record
	}
	elsewhere := binary.LittleEndian.AppendUint64(nil, 4)
	for name, c := range map[string]struct {
		ids, log node
		pages    uint32 // of the value that has its own
		placed   bool
	}{
		"inside":                {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], 0, uint32(len(small)), small, size - 24 - len(small)}, 0, true},
		"elsewhere":             {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], big, uint32(len(large)), elsewhere, 100}, 2, true},
		"node at the end":       {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], 0, uint32(len(small)), small, size - 8}, 0, false},
		"value over the end":    {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], 0, 1 << 16, stated(small, 1<<16), size - 24 - len(small)}, 0, false},
		"value's number cut":    {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], big, uint32(len(large)), elsewhere, size - 28}, 2, false},
		"elsewhere, too long":   {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], big, 1 << 16, elsewhere, 100}, 2, false},
		"elsewhere, more pages": {node{make([]byte, 8), 0, uint32(len(block)), block, 100}, node{id[:], big, 1 << 16, elsewhere, 100}, 100, false},
		"block that is short":   {node{make([]byte, 8), 0, 8, block, size - 24}, node{id[:], 0, uint32(len(small)), small, 100}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			// The ids are page 2, or the last when they are what goes too far.
			memory := fenced(t, 6*size)
			page := func(n int) []byte { return memory[n*size : (n+1)*size : len(memory)] }
			idsAt, logAt := 2, 3
			switch {
			case c.ids.size == 8:
				idsAt = 5
			case c.pages == 0 || c.log.at > 100:
				logAt = 5
			}
			if c.pages > 0 && logAt == 3 {
				own := page(4)
				binary.LittleEndian.PutUint64(own, 4)
				binary.LittleEndian.PutUint16(own[10:], overflow)
				binary.LittleEndian.PutUint32(own[12:], c.pages)
				value := large
				if int(c.log.size) != len(large) {
					value = stated(large, int(c.log.size))
				}
				copy(memory[4*size+16:], value)
			}
			leaf(page(idsAt), uint64(idsAt), c.ids)
			leaf(page(logAt), uint64(logAt), c.log)
			ids := treeAt(unsafe.Pointer(&memory[0]), 6, uint64(size), uint64(idsAt), 8)
			records := treeAt(unsafe.Pointer(&memory[0]), 6, uint64(size), uint64(logAt), 16)
			b := new(Batch)
			b.FindAll(&ids, &records, new(Places), []uint64{1, 2}, perBlock)
			if got, ok := b.Placed(0, 1); ok != c.placed || ok && !bytes.Equal(got, small) && !bytes.Equal(got, large) {
				t.Errorf("placed %v", ok)
			}
			if _, ok := b.Placed(1, 2); ok {
				t.Error("a record that is not there is placed")
			}
		})
	}
}

// FuzzTree damages the trees in several places at once.
func FuzzTree(f *testing.F) {
	if !able {
		f.Skip("this processor checks no records here")
	}
	m, b := newImage(f), new(Batch)
	damage := func(root uint64, in uint16, value uint32) []byte {
		d := binary.LittleEndian.AppendUint32(nil, uint32(root))
		d = binary.LittleEndian.AppendUint16(d, in)
		return binary.LittleEndian.AppendUint32(d, value)
	}
	for _, root := range []uint64{m.idsRoot, m.logRoot} {
		f.Add(damage(root, 10, 2))       // a leaf
		f.Add(damage(root, 12, 0xffff))  // with very many nodes
		f.Add(damage(root, 16, 0x0fff))  // at its end
		f.Add(damage(root, 16, 0xffff))  // beyond it
		f.Add(damage(root, 0, 0xffffff)) // of another number
		f.Add(damage(root, 4088, 1<<31)) // with a child that is nowhere
		f.Add(append(damage(root, 12, 18), damage(root, 16, 4090)...))
	}
	f.Fuzz(func(t *testing.T, damage []byte) {
		for ; len(damage) >= 10; damage = damage[10:] {
			page := uint64(binary.LittleEndian.Uint32(damage)) % (uint64(len(m.memory)) / m.pageSize)
			in := uint64(binary.LittleEndian.Uint16(damage[4:])) % (m.pageSize - 3)
			at := page*m.pageSize + in
			defer copy(m.memory[at:], m.original[at:at+4])
			copy(m.memory[at:], damage[6:10])
		}
		m.check(t, b)
	})
}
