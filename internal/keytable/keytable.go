// Package keytable has a hash table without pointers: the garbage collector has
// nothing to follow in it, however many keys there are.
package keytable

import "hash/maphash"

// Table finds numbers by keys, which it does not hold: who asks compares. It is a
// map of Go's without pointers, and finds in one memory access instead of two. It
// belongs to one goroutine at a time.
type Table struct {
	seed maphash.Seed
	// slots have half of a key's hash, and in the lower half its number plus
	// one; 0 is a free slot. A key is in the first slot from its hash on that
	// was free. At most half of the slots are taken.
	slots []uint64
	taken int
}

const fewestSlots = 64

// New returns an empty table.
func New() Table {
	return Table{seed: maphash.MakeSeed(), slots: make([]uint64, fewestSlots)}
}

// Room is how many numbers the table has memory for, 8 bytes each.
func (t *Table) Room() int { return len(t.slots) }

// Hash is the hash of a key in this table.
func (t *Table) Hash(key []byte) uint32 { return uint32(maphash.Bytes(t.seed, key)) }

// HashString is the hash of a key that is a string.
func (t *Table) HashString(key string) uint32 { return uint32(maphash.String(t.seed, key)) }

// Find returns the number among those whose keys have that hash that is the
// right one, -1 when none is.
func (t *Table) Find(hash uint32, right func(number int32) bool) int32 {
	last := uint32(len(t.slots) - 1)
	for i := hash & last; t.slots[i] != 0; i = (i + 1) & last {
		if slot := t.slots[i]; uint32(slot>>32) == hash && right(int32(uint32(slot))-1) {
			return int32(uint32(slot)) - 1
		}
	}
	return -1
}

// Add adds a number that no key had, under the hash of its key.
func (t *Table) Add(hash uint32, number int32) {
	if 2*t.taken >= len(t.slots) {
		t.grow()
	}
	t.put(uint64(hash)<<32 | uint64(number+1))
	t.taken++
}

func (t *Table) put(slot uint64) {
	last := uint32(len(t.slots) - 1)
	i := uint32(slot>>32) & last
	for t.slots[i] != 0 {
		i = (i + 1) & last
	}
	t.slots[i] = slot
}

func (t *Table) grow() {
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

// Reset empties the table. It keeps the memory, but not far more than there was
// need for: all of it is cleared.
func (t *Table) Reset() {
	if len(t.slots) > fewestSlots && 16*t.taken < len(t.slots) {
		t.slots = make([]uint64, len(t.slots)/4)
	}
	clear(t.slots)
	t.taken = 0
}
