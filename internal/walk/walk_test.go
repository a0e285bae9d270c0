//go:build cgo

package walk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func record(t testing.TB, position uint64, pad int) []byte {
	t.Helper()
	a := event.Append{Stream: "ledger-1", Events: []event.Proposed{{Type: "t.T", Data: make([]byte, 8+8*pad)}}}
	r, err := event.BuildRecord(&a, 0, 1, []string{"a:b"})
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(r, event.ID{15: byte(position)}, position, position)
	return r
}

func env(t testing.TB) (*lmdbenv.Env, lmdbenv.DBI) {
	t.Helper()
	env, err := lmdbenv.Open(t.TempDir(), lmdbenv.Options{Kind: "verbatim.walk", Format: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := env.OpenDB("log")
	if err != nil {
		t.Fatal(err)
	}
	return env, db
}

type found struct {
	key, record string
	intact      bool
}

// plain reads what a cursor returns, one by one.
func plain(t *testing.T, c *lmdbenv.Cursor, first, further uint) (all []found) {
	t.Helper()
	for op := first; ; op = further {
		key, record, err := c.Get(nil, nil, op)
		if lmdbenv.IsNotFound(err) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found{string(key), string(record), event.CheckRecord(record) == nil && able})
	}
}

func walked(t *testing.T, c *lmdbenv.Cursor, first, further uint, most int) (all []found) {
	t.Helper()
	b := new(Batch)
	for op := first; ; op = further {
		n, err := b.Fill(c, op, further, most)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return all
		}
		if n > most {
			t.Fatalf("%d records, at most %d were asked for", n, most)
		}
		for i := range n {
			key, record, intact := b.Record(i)
			all = append(all, found{string(key), string(record), intact})
		}
	}
}

// TestWalkIsACursor compares, over records of all sizes (those above 2 KiB have
// pages of their own), some of them damaged, and values that are no records.
func TestWalkIsACursor(t *testing.T) {
	t.Parallel()
	env, db := env(t)
	if err := env.Update(func(txn *lmdbenv.Txn) error {
		for i := range 1500 {
			r := record(t, uint64(i), i%400)
			switch i % 10 {
			case 3:
				r[i%len(r)] ^= 1 << (i % 8)
			case 7:
				r = r[:1+i%len(r)]
			}
			if err := txn.Put(db, fmt.Appendf(nil, "%016d", i), r, 0); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := env.View(func(txn *lmdbenv.Txn) error {
		c, err := txn.OpenCursor(db)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, ops := range [][2]uint{{lmdbenv.First, lmdbenv.Next}, {lmdbenv.Last, lmdbenv.Prev}} {
			want := plain(t, c, ops[0], ops[1])
			if len(want) != 1500 {
				t.Fatalf("%d records", len(want))
			}
			for _, most := range []int{1, 2, 7, Max} {
				got := walked(t, c, ops[0], ops[1], most)
				if len(got) != len(want) {
					t.Fatalf("by %d: %d records, want %d", most, len(got), len(want))
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("by %d, record %d: intact %v, want %v, or it differs", most, i, got[i].intact, want[i].intact)
					}
				}
			}
		}
		// From where the cursor is.
		if _, _, err := c.Get([]byte("0000000000000700"), nil, lmdbenv.SetKey); err != nil {
			return err
		}
		if got := walked(t, c, lmdbenv.Current, lmdbenv.Next, Max); len(got) != 800 || got[0].key != "0000000000000700" {
			t.Errorf("from the cursor: %d records", len(got))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// FuzzIntact compares with event.CheckRecord, on values as LMDB returns them.
func FuzzIntact(f *testing.F) {
	good := record(f, 1, 3)
	f.Add(good)
	for _, at := range []int{0, 4, 5, 7, 8, 16, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x80
		f.Add(bad)
	}
	far := bytes.Clone(good)
	binary.LittleEndian.PutUint32(far[binary.LittleEndian.Uint32(far[4:])+4:], 1<<31)
	f.Add(far)
	f.Add(good[:8])
	f.Add([]byte{12, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})
	env, db := env(f)
	enough := errors.New("enough")
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) == 0 {
			return
		}
		want := event.CheckRecord(value) == nil && able
		err := env.Update(func(txn *lmdbenv.Txn) error {
			if err := txn.Put(db, make([]byte, 16), value, 0); err != nil {
				return err
			}
			c, err := txn.OpenCursor(db)
			if err != nil {
				return err
			}
			defer c.Close()
			b := new(Batch)
			n, err := b.Fill(c, lmdbenv.First, lmdbenv.Next, Max)
			if err != nil {
				return err
			}
			if _, got, intact := b.Record(0); n != 1 || !bytes.Equal(got, value) || intact != want {
				t.Fatalf("%d records, intact %v, want %v", n, intact, want)
			}
			return enough
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	})
}
