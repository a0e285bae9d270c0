package projection

import "hash/maphash"

// keyTable finds numbers by keys, which it does not hold: who asks compares. It
// is a map of Go's without pointers, so the garbage collector has nothing to
// follow, and in one memory access instead of two.
type keyTable struct {
	seed maphash.Seed
	// slots have half of a key's hash, and in the lower half its number plus
	// one; 0 is a free slot. A key is in the first slot from its hash on that
	// was free. At most half of the slots are taken.
	slots []uint64
	taken int
}

const fewestSlots = 64

func newKeyTable() keyTable {
	return keyTable{seed: maphash.MakeSeed(), slots: make([]uint64, fewestSlots)}
}

func (t *keyTable) hash(key []byte) uint32 { return uint32(maphash.Bytes(t.seed, key)) }

// find returns the number among those whose keys have that hash that is the
// right one, -1 when none is.
func (t *keyTable) find(hash uint32, right func(number int32) bool) int32 {
	last := uint32(len(t.slots) - 1)
	for i := hash & last; t.slots[i] != 0; i = (i + 1) & last {
		if slot := t.slots[i]; uint32(slot>>32) == hash && right(int32(uint32(slot))-1) {
			return int32(uint32(slot)) - 1
		}
	}
	return -1
}

// add adds a number that no key had, under the hash of its key.
func (t *keyTable) add(hash uint32, number int32) {
	if 2*t.taken >= len(t.slots) {
		t.grow()
	}
	t.put(uint64(hash)<<32 | uint64(number+1))
	t.taken++
}

func (t *keyTable) put(slot uint64) {
	last := uint32(len(t.slots) - 1)
	i := uint32(slot>>32) & last
	for t.slots[i] != 0 {
		i = (i + 1) & last
	}
	t.slots[i] = slot
}

func (t *keyTable) grow() {
	old := t.slots
	t.slots = make([]uint64, 2*len(old))
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

// reset empties the table. What one batch needed is not kept by those that need
// far less, as all of it is cleared.
func (t *keyTable) reset() {
	if len(t.slots) > fewestSlots && 16*t.taken < len(t.slots) {
		t.slots = make([]uint64, len(t.slots)/4)
	}
	clear(t.slots)
	t.taken = 0
}
