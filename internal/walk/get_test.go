//go:build cgo && unix

package walk

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// named is an environment with keys of all lengths, many of them prefixes of
// others, and values of all sizes, those above 2 KiB in pages of their own.
type named struct {
	env  *lmdbenv.Env
	db   lmdbenv.DBI
	keys [][]byte
}

func newNamed(t testing.TB, n int) named {
	t.Helper()
	e := named{}
	e.env, e.db = env(t)
	random := rand.New(rand.NewPCG(uint64(n), 7))
	if err := e.env.Update(func(txn *lmdbenv.Txn) error {
		for range n {
			key := anyKey(random)
			value := make([]byte, 1+random.IntN(200))
			if random.IntN(50) == 0 {
				value = make([]byte, 2000+random.IntN(9000))
			}
			copy(value, key)
			if err := txn.Put(e.db, key, value, 0); err != nil {
				return err
			}
			e.keys = append(e.keys, key)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

func anyKey(random *rand.Rand) []byte {
	key := bytes.Repeat([]byte{byte(random.IntN(3))}, 1+random.IntN(12))
	if random.IntN(20) == 0 {
		key = bytes.Repeat(key, lmdbenv.MaxKey/len(key))
	}
	return binary.BigEndian.AppendUint16(key[:min(len(key), lmdbenv.MaxKey-2)], uint16(random.IntN(4000)))
}

// Get returns what LMDB does where it returns something, in trees of one page and
// of several levels, and does so for every key that is there.
func TestGetFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 100, 30_000} {
		e := newNamed(t, n)
		random := rand.New(rand.NewPCG(uint64(n), 1))
		var m Map
		if err := e.env.View(func(txn *lmdbenv.Txn) error {
			tree, err := m.Tree(e.env, txn, e.db, "log", 0)
			if err != nil {
				return err
			}
			for i := range 5000 {
				key := anyKey(random)
				if i%2 == 0 {
					key = e.keys[random.IntN(len(e.keys))]
				}
				got, ok := tree.Get(key)
				want, err := txn.Get(e.db, key)
				if err != nil && !lmdbenv.IsNotFound(err) {
					return err
				}
				if ok != (err == nil) || !bytes.Equal(got, want) || ok && &got[0] != &want[0] {
					t.Fatalf("of %d, key %x: %v, LMDB has %v", n, key, ok, err)
				}
			}
			for _, key := range [][]byte{nil, make([]byte, lmdbenv.MaxKey+1)} {
				if _, ok := tree.Get(key); ok {
					t.Errorf("a key of %d bytes is found", len(key))
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := new(Tree).Get([]byte("key")); ok {
		t.Error("no tree has a key")
	}
}

// namedImage is a data file between two pages that can't be read.
type namedImage struct {
	original, memory []byte
	root             uint64
	keys             [][]byte
}

func newNamedImage(t testing.TB) *namedImage {
	t.Helper()
	e := newNamed(t, 3000)
	m := &namedImage{}
	if err := e.env.View(func(txn *lmdbenv.Txn) error {
		tree, err := new(Map).Tree(e.env, txn, e.db, "log", 0)
		m.root = uint64(tree.c.root)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.original, err = os.ReadFile(filepath.Join(e.env.Dir(), lmdbenv.DataFile)); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	m.original = m.original[:len(m.original)/page*page]
	m.memory = fenced(t, len(m.original))
	copy(m.memory, m.original)
	for i := 0; i < len(e.keys); i += 31 {
		m.keys = append(m.keys, e.keys[i])
	}
	return m
}

// check looks all keys up, and fails when what is found is not inside of the
// file. It returns how many are found.
func (m *namedImage) check(t testing.TB) (found int) {
	t.Helper()
	base, page := unsafe.Pointer(&m.memory[0]), uint64(os.Getpagesize())
	tree := treeAt(base, uint64(len(m.memory))/page, page, m.root, 0)
	for _, key := range m.keys {
		got, ok := tree.Get(key)
		if !ok {
			continue
		}
		found++
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(got))) - uintptr(base); uint64(at)+uint64(len(got)) > uint64(len(m.memory)) {
			t.Fatalf("key %x: %d bytes at %d, which is not in the file", key, len(got), at)
		}
		for _, b := range got { // it can be read
			sum += b
		}
	}
	return found
}

var sum byte

// A damaged tree is not left: whatever is read is inside of the file.
func TestGetStaysInADamagedTree(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // says where
	m := newNamedImage(t)
	if whole := m.check(t); whole != len(m.keys) {
		t.Fatalf("%d of %d keys are found", whole, len(m.keys))
	}
	random, page := rand.New(rand.NewPCG(3, 4)), os.Getpagesize()
	fewer := 0
	for range 10_000 {
		at := random.IntN(len(m.memory))
		if random.IntN(2) == 0 {
			at = at/page*page + random.IntN(64) // what a page says about itself
		}
		before := m.memory[at]
		for _, after := range []byte{before ^ 1<<random.IntN(8), 0, 0xff} {
			if m.memory[at] = after; m.check(t) < len(m.keys) {
				fewer++
			}
		}
		m.memory[at] = before
	}
	if fewer == 0 {
		t.Error("no damage was met")
	}
}

// Nodes and values that reach beyond the last page, which can't be read, are not
// found.
func TestGetAtTheEdgeOfTheMap(t *testing.T) {
	size := os.Getpagesize()
	key := []byte("some key")
	for name, c := range map[string]struct {
		node  node
		found bool
	}{
		"inside":             {node{key, 0, 4, []byte("four"), size - 8 - len(key) - 4}, true},
		"header over":        {node{key, 0, 4, nil, size - 7}, false},
		"key over":           {node{key, 0, 4, nil, size - 8 - len(key) + 1}, false},
		"value over":         {node{key, 0, 5, []byte("four"), size - 8 - len(key) - 4}, false},
		"number over":        {node{key, 1, 5, []byte("four"), size - 8 - len(key) - 4}, false},
		"value that is huge": {node{key, 0, 1<<32 - 1, []byte("four"), 100}, false},
	} {
		t.Run(name, func(t *testing.T) {
			memory := fenced(t, 3*size)
			leaf(memory[2*size:3*size:3*size], 2, c.node)
			tree := treeAt(unsafe.Pointer(&memory[0]), 3, uint64(size), 2, 0)
			if got, ok := tree.Get(key); ok != c.found || ok && string(got) != "four" {
				t.Errorf("found %v, %q", ok, got)
			}
			tree.Get([]byte("some other key that is longer than the page has room for it"))
		})
	}
}

// FuzzGet damages the tree in several places at once.
func FuzzGet(f *testing.F) {
	m := newNamedImage(f)
	for _, damage := range [][2]uint32{{10, 2}, {12, 0xffff}, {16, 0x0fff}, {16, 0xffff}, {0, 0xffffff}, {4088, 1 << 31}} {
		d := binary.LittleEndian.AppendUint32(nil, uint32(m.root))
		d = binary.LittleEndian.AppendUint16(d, uint16(damage[0]))
		f.Add(binary.LittleEndian.AppendUint32(d, damage[1]))
	}
	f.Fuzz(func(t *testing.T, damage []byte) {
		page := os.Getpagesize()
		for ; len(damage) >= 10; damage = damage[10:] {
			at := int(binary.LittleEndian.Uint32(damage)) % (len(m.memory) / page) * page
			at += int(binary.LittleEndian.Uint16(damage[4:])) % (page - 3)
			defer copy(m.memory[at:], m.original[at:at+4])
			copy(m.memory[at:], damage[6:10])
		}
		m.check(t)
	})
}
