package keytable

import (
	"testing"

	"pgregory.net/rapid"
)

// Keys are found, also where many have one hash, and no others.
func TestTableFindsKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.Uint32Range(0, rapid.SampledFrom([]uint32{1, 100, 1 << 31}).Draw(t, "hashes"))
		table := New()
		var keys []uint32 // by their numbers, the hash of each
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "keys") {
					hash := hashes.Draw(t, "hash")
					table.Add(hash, int32(len(keys)))
					keys = append(keys, hash)
				}
			},
			"reset": func(*rapid.T) {
				table.Reset()
				keys = nil
			},
			"": func(*rapid.T) {
				for n, hash := range keys {
					if got := table.Find(hash, func(number int32) bool { return number == int32(n) }); got != int32(n) {
						t.Fatalf("key %d of hash %x is found as %d", n, hash, got)
					}
				}
				hash := hashes.Draw(t, "another")
				asked := 0
				if got := table.Find(hash, func(number int32) bool { asked++; return keys[number] != hash }); got != -1 {
					t.Fatalf("key %d of hash %x is found by hash %x", got, keys[got], hash)
				}
			},
		})
	})
}
