package projection

import "math/bits"

// extent is where an arena has something: the length in the low bits, behind them
// the place. It is a number so that the garbage collector has nothing to follow.
// The zero extent is nothing, which is not the same as no bytes.
type extent uint64

const (
	// extentLength is how many bits an extent has for the length: enough for the room
	// of maxRow.
	extentLength = 25
	// largePlace is the first place of large copies, which are counted; those
	// before it are bytes of chunks.
	largePlace = 1 << 38
	arenaChunk = 1 << 18
	// keptChunks are kept for the next batch when one has needed more: as much
	// as most batches need.
	keptChunks = 16
)

func extentAt(place uint64, length int) extent { return extent(place<<extentLength | uint64(length)) }

func (s extent) length() int { return int(s % (1 << extentLength)) }

// pieces are an arena's memory. A copy of them has all that the arena had when
// it was made, until the arena's reset, whatever the arena is given meanwhile.
type pieces struct {
	chunks [][]byte // arenaChunk bytes each
	large  [][]byte // copies that would not fit well into a chunk
}

// bytes returns what is at an extent, nil for the zero extent.
func (p *pieces) bytes(s extent) []byte {
	if s == 0 {
		return nil
	}
	place, length := uint64(s>>extentLength), uint64(s.length())
	if place >= largePlace {
		return p.large[place-largePlace]
	}
	from := place % arenaChunk
	return p.chunks[place/arenaChunk][from : from+length : from+length]
}

// arena holds many small copies in few large pieces of memory.
type arena struct {
	pieces
	used   int            // bytes, in all
	filled int            // chunks without rest, or with the rest that follows
	rest   []byte         // of the last of them
	place  uint64         // where rest begins
	free   [rooms]extents // that were given back, by how much room they are
}

type extents []extent

// rooms is how many sizes of room there are.
const rooms = 4*extentLength + 1

// roomFor returns a size of at least so many bytes, at most a quarter more or 16,
// and its number: what is given back fits for many others then.
func roomFor(length int) (size, number int) {
	if length <= 16 {
		return 16, 0
	}
	exponent := bits.Len(uint(length-1)) - 3
	quarters := (length - 1) >> exponent // of a power of two, 4 to 7 are full
	return (quarters + 1) << exponent, 4*exponent + quarters - 4
}

// reset empties the arena. What its extents stood for is overwritten from now on.
func (a *arena) reset() {
	if len(a.chunks) > keptChunks && a.used < keptChunks*arenaChunk {
		clear(a.chunks[keptChunks:])
		a.chunks = a.chunks[:keptChunks]
	}
	for i := range a.free {
		a.free[i] = emptied(a.free[i])
	}
	a.large, a.used, a.filled, a.rest = nil, 0, 0, nil
}

// copy keeps b, which has at most maxRow bytes, until the reset.
func (a *arena) copy(b []byte) extent {
	s := a.allocate(len(b))
	copy(a.bytes(s), b)
	return s
}

// lend keeps b until it is given back, or until the reset, in an extent of which it
// is the beginning.
func (a *arena) lend(b []byte) (s extent) {
	size, number := roomFor(len(b))
	if free := &a.free[number]; len(*free) > 0 {
		s, *free = (*free)[len(*free)-1], (*free)[:len(*free)-1]
	} else {
		s = a.allocate(size)
	}
	copy(a.bytes(s), b)
	return s
}

// giveBack ends what was lent.
func (a *arena) giveBack(s extent) {
	_, number := roomFor(s.length())
	a.free[number] = append(a.free[number], s)
}

func (a *arena) allocate(length int) extent {
	a.used += length
	if length > arenaChunk/4 {
		a.large = append(a.large, make([]byte, length))
		return extentAt(largePlace+uint64(len(a.large)-1), length)
	}
	if len(a.rest) < length {
		a.next()
	}
	s := extentAt(a.place, length)
	a.rest, a.place = a.rest[length:], a.place+uint64(length)
	return s
}

// next goes to the next chunk.
func (a *arena) next() {
	if a.filled == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, arenaChunk))
	}
	a.rest, a.place = a.chunks[a.filled], uint64(a.filled)*arenaChunk
	a.filled++
}

// emptied returns a slice without its elements, for the next batch. One that was
// made for far more than it had this time is given up.
func emptied[T any](s []T) []T {
	if cap(s) > 1<<10 && len(s) < cap(s)/16 {
		return nil
	}
	return s[:0]
}
