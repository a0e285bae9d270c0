package eventstore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
)

// room is what a chunk has taken in memory.
func (c *chunk) room() int64 {
	n := 16 * cap(c.ids)
	for _, m := range []*memberships{&c.lists[byStream], &c.lists[byCategory], &c.lists[byType], &c.lists[byTag], &c.keys} {
		n += 8*m.table.Room() + int(unsafe.Sizeof(members{}))*cap(m.lists) + cap(m.names) + 4*cap(m.few)
		for _, on := range m.many {
			n += 24 + 4*cap(on)
		}
	}
	return int64(n)
}

// TestChunkCountsItsMemory compares what is counted of a chunk, which bounds the
// tail, with what it takes, for few and many streams and tags.
func TestChunkCountsItsMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ streams, tags int }{{10, 10}, {1000, 30}, {10_000, 1000}, {10_000, 100_000}, {1_000_000, 1_000_000}} {
		for _, key := range []bool{false, true} {
			random := rand.New(rand.NewPCG(1, uint64(c.streams)))
			made := newChunk(0)
			for position := uint64(1); position <= chunkEvents; position++ {
				a := event.Append{Stream: fmt.Sprintf("ledger-%d", random.IntN(c.streams)), Events: []event.Proposed{{Type: "bank.ledger.Noted", Data: make([]byte, 8)}}}
				if key {
					a.Key = fmt.Sprintf("key-%d", position)
				}
				record, err := event.BuildRecord(&a, 0, 1, []string{fmt.Sprintf("tag:%d", random.IntN(c.tags))})
				if err != nil {
					t.Fatal(err)
				}
				event.Seal(record, event.ID{15: byte(position)}, position, 1)
				made.add([]event.Event{event.Trusted(record)})
			}
			if counted, is := made.bytes, made.room(); is > counted*5/4 || is < counted/2 {
				t.Errorf("%+v, keys %v: %d bytes are counted, it takes %d", c, key, counted, is)
			} else {
				t.Logf("%+v, keys %v: %d bytes an event", c, key, is/chunkEvents)
			}
		}
	}
}

// TestMembershipsKeepWhatTheyShowed puts events on lists in any order, and compares
// with a map of slices: what was shown before never changes.
func TestMembershipsKeepWhatTheyShowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, model := newMemberships(), make(map[string][]uint32)
		shown := make(map[string][]uint32)
		names := rapid.IntRange(1, 40).Draw(t, "names")
		for offset := range uint32(rapid.IntRange(1, 400).Draw(t, "events")) {
			name := fmt.Sprint("list ", rapid.IntRange(0, names).Draw(t, "name"))
			for range rapid.IntRange(1, 2).Draw(t, "times") {
				m.add(name, offset, uint64(offset))
			}
			model[name] = append(model[name], offset)
			if rapid.IntRange(0, 9).Draw(t, "show") == 0 {
				shown[name] = m.offsets(&m.lists[m.find(m.table.HashString(name), name)])
			}
			for name, on := range shown {
				if fmt.Sprint(on) != fmt.Sprint(model[name][:len(on)]) {
					t.Fatalf("%q showed %v, and had %v", name, on, model[name])
				}
			}
		}
		for name, want := range model {
			number := m.find(m.table.HashString(name), name)
			if number < 0 || m.name(number) != name {
				t.Fatalf("%q is list %d", name, number)
			}
			if l := &m.lists[number]; fmt.Sprint(m.offsets(l)) != fmt.Sprint(want) || l.version != uint64(want[0]) {
				t.Fatalf("%q has %v from version %d, want %v", name, m.offsets(l), l.version, want)
			}
		}
		if len(m.lists) != len(model) || m.find(m.table.HashString("none"), "none") >= 0 {
			t.Fatalf("%d lists, want %d", len(m.lists), len(model))
		}
	})
}
