//go:build cgo

package walk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
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
	event.Seal(r, idOf(position), position, position)
	return r
}

func idOf(position uint64) event.ID { return event.ID{14: byte(position >> 8), 15: byte(position)} }

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
	placed      bool
}

// isPlaced is what Batch.Placed says, by the event's own methods.
func isPlaced(key, record []byte, position uint64) bool {
	if !able || event.CheckRecord(record) != nil {
		return false
	}
	e, err := event.Decode(record)
	if err != nil {
		return false
	}
	id := e.ID()
	return e.Position() == position && string(id[:]) == string(key)
}

// plain reads what a cursor returns, one by one.
func plain(t *testing.T, c *lmdbenv.Cursor, first, further uint, position func(n int) uint64) (all []found) {
	t.Helper()
	for op := first; ; op = further {
		key, record, err := c.Get(nil, nil, op)
		if lmdbenv.IsNotFound(err) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found{string(key), string(record), isPlaced(key, record, position(len(all)))})
	}
}

func walked(t *testing.T, c *lmdbenv.Cursor, first, further uint, most int, position func(n int) uint64) (all []found) {
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
			key, record := b.Record(i)
			placed, ok := b.Placed(i, position(len(all)))
			if ok && !bytes.Equal(placed, record) {
				t.Fatal("there are two records in one place")
			}
			all = append(all, found{string(key), string(record), ok})
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
			case 5:
				r = record(t, uint64(i)+1, 1) // of another place
			case 7:
				r = r[:1+i%len(r)]
			}
			id := idOf(uint64(i))
			if err := txn.Put(db, id[:], r, 0); err != nil {
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
			position := func(n int) uint64 {
				if ops[0] == lmdbenv.Last {
					n = 1499 - n
				}
				return uint64(n)
			}
			want := plain(t, c, ops[0], ops[1], position)
			placed := slices.DeleteFunc(slices.Clone(want), func(f found) bool { return !f.placed })
			if len(want) != 1500 || able && len(placed) != 1050 {
				t.Fatalf("%d records, %d in their place", len(want), len(placed))
			}
			for _, most := range []int{1, 2, 7, Max} {
				got := walked(t, c, ops[0], ops[1], most, position)
				if len(got) != len(want) {
					t.Fatalf("by %d: %d records, want %d", most, len(got), len(want))
				}
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("by %d, record %d: placed %v, want %v, or it differs", most, i, got[i].placed, want[i].placed)
					}
				}
			}
		}
		for _, n := range []uint64{0, 1, 700, 1499, 1500} {
			if _, _, err := c.Get(nil, nil, lmdbenv.First); err != nil {
				return err
			}
			ok, err := Skip(c, n)
			if err != nil || ok != (n < 1500) {
				t.Fatalf("skip %d: %v, %v", n, ok, err)
			}
			if !ok {
				continue
			}
			want := idOf(n)
			if key, _, err := c.Get(nil, nil, lmdbenv.Current); err != nil || !bytes.Equal(key, want[:]) {
				t.Fatalf("skip %d: at %x, %v", n, key, err)
			}
		}
		// From where the cursor is.
		id := idOf(700)
		if _, _, err := c.Get(id[:], nil, lmdbenv.SetKey); err != nil {
			return err
		}
		got := walked(t, c, lmdbenv.Current, lmdbenv.Next, Max, func(n int) uint64 { return 700 + uint64(n) })
		if len(got) != 800 || got[0].key != string(id[:]) || got[0].placed != able {
			t.Errorf("from the cursor: %d records", len(got))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestFindFollowsTheTable finds records by blocks of ids, of which some are of no
// use.
func TestFindFollowsTheTable(t *testing.T) {
	t.Parallel()
	env, db := env(t)
	ids, err := env.OpenDB("ids")
	if err != nil {
		t.Fatal(err)
	}
	const blockBytes = 4 * 16
	block := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	if err := env.Update(func(txn *lmdbenv.Txn) error {
		for n := range uint64(10) {
			var value []byte
			for i := range uint64(4) {
				id := idOf(4*n + i)
				value = append(value, id[:]...)
				if n == 7 {
					continue // not in the log
				}
				if err := txn.Put(db, id[:], record(t, 4*n+i, 1), 0); err != nil {
					return err
				}
			}
			if n == 5 {
				value = value[:len(value)-1]
			}
			if err := txn.Put(ids, block(n), value, 0); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := env.View(func(txn *lmdbenv.Txn) error {
		records, err := txn.OpenCursor(db)
		if err != nil {
			return err
		}
		defer records.Close()
		table, err := txn.OpenCursor(ids)
		if err != nil {
			return err
		}
		defer table.Close()
		b := new(Batch)
		for position := range uint64(48) {
			n := position / 4
			want := n != 5 && n != 7 && n < 10
			got, err := b.Find(table, n, int(position%4)*16, blockBytes, records)
			if err != nil || got != want {
				t.Fatalf("position %d: %v, %v, want %v", position, got, err, want)
			}
			if !got {
				continue
			}
			if r, ok := b.Placed(0, position); ok != able || able && event.Trusted(r).Position() != position {
				t.Errorf("position %d: %v", position, ok)
			}
		}
		for _, offset := range []int{49, 63, 64, 80, 1 << 30} {
			if got, err := b.Find(table, 0, offset, blockBytes, records); got || err != nil {
				t.Errorf("offset %d: %v, %v", offset, got, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// FuzzPlaced compares with event.CheckRecord, on values as LMDB returns them, of
// which three are checked together.
func FuzzPlaced(f *testing.F) {
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
		values := [][]byte{record(t, 0, 1), value, record(t, 2, 40)}
		err := env.Update(func(txn *lmdbenv.Txn) error {
			for position, value := range values {
				id := idOf(uint64(position))
				if err := txn.Put(db, id[:], value, 0); err != nil {
					return err
				}
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
			if n != len(values) {
				t.Fatalf("%d records", n)
			}
			for i, value := range values {
				key, got := b.Record(i)
				if !bytes.Equal(got, value) {
					t.Fatalf("record %d has %d bytes", i, len(got))
				}
				_, placed := b.Placed(i, uint64(i))
				_, err = event.Decode(value)
				switch want := isPlaced(key, value, uint64(i)); {
				case placed && event.CheckRecord(value) != nil:
					t.Fatalf("record %d is placed, and no record", i)
				case placed != want && err == nil:
					t.Fatalf("record %d is placed %v, want %v", i, placed, want)
				}
			}
			return enough
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	})
}
