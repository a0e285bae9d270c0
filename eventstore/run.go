package eventstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// runBytes is how many bytes of deltas a run has when it is closed: four such
// runs, with names of usual length, fill a page of LMDB.
const runBytes = 900

// run is a part of a list: positions that follow each other in it, in one
// entry of the index. A list has any number of closed runs, stored under their
// last position, and exactly one open run behind them, which takes what is
// added.
//
// Each run says what is before it, so that one that is missing is noticed by
// whoever passes its place.
type run struct {
	base   uint64 // the position before the first, 0 in the list's first run
	before uint64 // positions in the runs before this one
	count  uint64 // positions in this one, at least 1
	last   uint64 // position
	deltas []byte // from base to the first, and from each to the next, as varints
}

// add appends a position, which must be behind the last.
func (r *run) add(position uint64) {
	r.deltas = binary.AppendUvarint(r.deltas, position-r.last)
	r.last = position
	r.count++
}

// next empties the run for what follows it.
func (r *run) next() {
	r.base, r.before, r.count, r.deltas = r.last, r.before+r.count, 0, r.deltas[:0]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What a run's value says beyond its deltas: most runs are the first of their
// list, and those of short streams have a single position.
const (
	runContinues = 1 << iota // base and before; otherwise 0
	runCounts                // count and span; otherwise there is one position
)

// append appends the entry's value. Its checksum covers the key too, and of what
// kind the list is: a run that is met among those of another kind is damage.
func (r *run) append(b []byte, kind listKind, key []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0)
	if r.base > 0 {
		b[start+4] |= runContinues
		b = binary.AppendUvarint(binary.AppendUvarint(b, r.base), r.before)
	}
	if r.count > 1 {
		b[start+4] |= runCounts
		b = binary.AppendUvarint(binary.AppendUvarint(b, r.count), r.last-r.base)
	}
	b = append(b, r.deltas...)
	binary.BigEndian.PutUint32(b[start:], runChecksum(kind, key, b[start+4:]))
	return b
}

func runChecksum(kind listKind, key, rest []byte) uint32 {
	return crc32.Update(crc32.Update(kindSums[kind], castagnoli, key), castagnoli, rest)
}

// kindSums are the checksums of each kind's one byte.
var kindSums = func() (sums [listKinds]uint32) {
	for kind := range sums {
		sums[kind] = crc32.Checksum([]byte{byte(kind)}, castagnoli)
	}
	return sums
}()

// parseRun returns the run of an entry, whose deltas alias value. They are
// those that were written, which the checksum says; [run.positions] checks them
// all the same.
func parseRun(kind listKind, key, value []byte) (r run, err error) {
	if len(value) < 5 || binary.BigEndian.Uint32(value) != runChecksum(kind, key, value[4:]) {
		return run{}, indexDamage("the entry under %q is damaged", key)
	}
	flags, rest, whole := value[4], value[5:], true
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			whole = false
			return 0
		}
		rest = rest[n:]
		return v
	}
	if flags&runContinues != 0 {
		r.base, r.before = number(), number()
	}
	r.count = 1
	span := uint64(0)
	if flags&runCounts != 0 {
		r.count, span = number(), number()
	} else {
		span, _ = binary.Uvarint(rest)
	}
	r.last, r.deltas = r.base+span, rest
	if !whole || flags > runContinues|runCounts || r.count == 0 || r.count > uint64(len(rest)) || r.last <= r.base {
		return run{}, indexDamage("the entry under %q can't be", key)
	}
	return r, nil
}

// positions appends all positions of the run.
func (r *run) positions(to []uint64) ([]uint64, error) {
	at, rest := r.base, r.deltas
	for range r.count {
		var delta uint64
		if len(rest) > 0 && rest[0] < 0x80 {
			delta, rest = uint64(rest[0]), rest[1:]
		} else {
			var n int
			if delta, n = binary.Uvarint(rest); n <= 0 {
				return nil, indexDamage("a list's deltas end early")
			}
			rest = rest[n:]
		}
		if delta == 0 || delta > r.last-at {
			return nil, indexDamage("a list's positions do not increase, or pass its last, which is %d", r.last)
		}
		at += delta
		to = append(to, at)
	}
	if at != r.last || len(rest) > 0 {
		return nil, indexDamage("a list's positions end at %d, not at %d", at, r.last)
	}
	return to, nil
}

// What ends the name in a key. Names have neither, so that a list's runs stand
// together, and the open one behind the closed ones.
const (
	closedRun = 0
	openRun   = 1
)

// appendOpenKey appends the key of a list's open run, and appendClosedKey that
// of a closed one, by its last position. Sought as a range, the latter leads to
// the first run that does not end before the position.
func appendOpenKey(b []byte, name string) []byte {
	return append(append(b, name...), openRun)
}

func appendClosedKey(b []byte, name string, last uint64) []byte {
	return binary.BigEndian.AppendUint64(append(append(b, name...), closedRun), last)
}

// cutRunKey returns the name of a run's list and, for a closed run, its last
// position.
func cutRunKey(key []byte) (name []byte, last uint64, open, ok bool) {
	end := bytes.IndexFunc(key, func(r rune) bool { return r == closedRun || r == openRun })
	if end < 0 {
		return nil, 0, false, false
	}
	switch name, rest := key[:end], key[end+1:]; {
	case key[end] == openRun && len(rest) == 0:
		return name, 0, true, true
	case key[end] == closedRun && len(rest) == 8:
		return name, binary.BigEndian.Uint64(rest), false, true
	}
	return nil, 0, false, false
}

// isRunOf reports whether the key is one of the list's.
func isRunOf(key []byte, name string) bool {
	return len(key) > len(name) && string(key[:len(name)]) == name && key[len(name)] <= openRun
}

// readRun parses an entry whole: its key is one, and agrees with the run.
func readRun(kind listKind, key, value []byte) (r run, open bool, err error) {
	_, last, open, ok := cutRunKey(key)
	if !ok {
		return run{}, false, indexDamage("key %q is none of a list", key)
	}
	if r, err = parseRun(kind, key, value); err != nil {
		return run{}, false, err
	}
	if !open && last != r.last {
		return run{}, false, indexDamage("the entry under %q ends at %d", key, r.last)
	}
	return r, open, nil
}
