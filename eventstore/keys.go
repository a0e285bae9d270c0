package eventstore

import (
	"encoding/binary"
	"hash/crc32"
)

// appendKeyEntry appends the value of an idempotency key: a checksum over the key
// and the rest, and the place of the append's first event.
func appendKeyEntry(b, key []byte, at place) []byte {
	start := len(b)
	b = at.append(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[start:], keySum(key, b[start+4:]))
	return b
}

func keySum(key, place []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, place)
}

func readKeyEntry(key, value []byte) (place, error) {
	if len(value) < 4 || keySum(key, value[4:]) != binary.BigEndian.Uint32(value) {
		return place{}, indexDamage("the entry of key %q is not what was written", key)
	}
	return parsePlace(value[4:])
}

func wholeKey(key, value []byte) error {
	_, err := readKeyEntry(key, value)
	return err
}

// key returns the place of the first event of the append with that key. That
// there is none is confirmed by its neighbours: a key that is damaged would be
// found by nobody, and its append be done again.
func (v indexView) key(key string) (p place, ok bool, err error) {
	value, err := getOrNil(v.txn, v.keys, []byte(key))
	if err != nil {
		return place{}, false, err
	}
	if value == nil {
		return place{}, false, v.noKey([]byte(key))
	}
	p, err = readKeyEntry([]byte(key), value)
	return p, err == nil, err
}

func (v indexView) noKey(key []byte) error {
	c, err := v.txn.OpenCursor(v.keys)
	if err != nil {
		return err
	}
	defer c.Close()
	_, _, err = around(c, key, wholeKey)
	return err
}
