package projection

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What was copied or lent stays as it is until it is given back, whatever its
// size, also in a copy of the pieces from before.
func TestArenaKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	sizes := rapid.OneOf(
		rapid.IntRange(1, 200),
		rapid.SampledFrom([]int{arenaChunk / 8, arenaChunk / 4, arenaChunk/4 + 1, arenaChunk - 1, arenaChunk, arenaChunk + 1}),
	)
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		var n byte
		kept, lent := make(map[extent][]byte), make(map[extent][]byte)
		check := func(p *pieces, all map[extent][]byte) {
			for e, want := range all {
				if got := p.bytes(e); e.length() < len(want) || !bytes.HasPrefix(got, want) || len(got) != e.length() {
					t.Fatalf("%d bytes at %x are not the %d that they were", len(got), e, len(want))
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"copy": func(t *rapid.T) {
				n++
				b := bytes.Repeat([]byte{n}, sizes.Draw(t, "size"))
				kept[a.copy(b)] = b
			},
			"lend": func(t *rapid.T) {
				n++
				b := bytes.Repeat([]byte{n}, sizes.Draw(t, "size"))
				before := a.pieces
				lent[a.lend(b)] = b
				check(&before, kept)
			},
			"give back": func(t *rapid.T) {
				for e := range lent {
					delete(lent, e)
					a.giveBack(e)
					return
				}
				t.Skip("nothing is lent")
			},
			"reset": func(t *rapid.T) {
				a.reset()
				clear(kept)
				clear(lent)
			},
			"": func(*rapid.T) {
				check(&a.pieces, kept)
				check(&a.pieces, lent)
			},
		})
	})
}

// Room is found again by its size, and little of it is wasted.
func TestRoomForEveryLength(t *testing.T) {
	t.Parallel()
	last := 0
	for length := 1; length <= maxRow; length += 1 + length/1000 {
		size, number := roomFor(length)
		if size < length || size > max(16, length*5/4) || size >= 1<<extentLength || number < last || number >= rooms {
			t.Fatalf("%d bytes get room %d of %d bytes", length, number, size)
		}
		if again, same := roomFor(size); again != size || same != number {
			t.Fatalf("room %d of %d bytes is found as %d of %d", number, size, same, again)
		}
		last = number
	}
}

func TestArenaUsesMemoryAgain(t *testing.T) {
	t.Parallel()
	var a arena
	for range 1000 {
		a.giveBack(a.lend(make([]byte, 100)))
	}
	if a.used > 128 {
		t.Errorf("%d bytes are used for one copy at a time", a.used)
	}
}
