package commit

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

// Entropy returns the random part of a ULID.
type Entropy func() [10]byte

// RandomEntropy is the [Entropy] of the system. It never fails.
func RandomEntropy() (e [10]byte) {
	_, _ = rand.Read(e[:]) // documented never to return an error
	return e
}

// nextID returns an id greater than last. Its time is that of now, unless last
// is later: a clock that stepped back is waited for by counting on from last.
// Within one millisecond the entropy is counted up; when that overflows, the
// next millisecond is borrowed. Fresh entropy leaves its top bit clear, so that
// there is always room to count.
func nextID(last event.ID, now time.Time, entropy Entropy) event.ID {
	ms := millis(now)
	if ms > last.Time() {
		return freshID(ms, entropy)
	}
	id := last
	for i := len(id) - 1; i >= len(id)-10; i-- {
		if id[i]++; id[i] != 0 {
			return id
		}
	}
	return freshID(last.Time()+1, entropy)
}

// millis is an instant as the 48 bits of a ULID hold it.
func millis(t time.Time) uint64 {
	return min(uint64(max(t.UnixMilli(), 0)), ulid.MaxTime())
}

func freshID(ms uint64, entropy Entropy) (id event.ID) {
	if err := id.SetTime(ms); err != nil {
		panic(err) // the year 10889 is over
	}
	e := entropy()
	e[0] &= 0x7f
	copy(id[6:], e[:])
	return id
}
