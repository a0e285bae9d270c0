package eventstore

import (
	"strings"
	"sync"

	"github.com/verbatim-es/verbatim/event"
)

// versions knows the last event of every stream that has one in the tail, so
// that finding a version does not go through the tail's chunks. Its methods are
// safe for concurrent use.
type versions struct {
	mu  sync.RWMutex
	end map[string]streamEnd
}

// streamEnd is the version and the position of a stream's last event.
type streamEnd struct{ version, position uint64 }

func newVersions() *versions { return &versions{end: make(map[string]streamEnd)} }

func (v *versions) of(stream string) (end streamEnd, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	end, ok = v.end[stream]
	return end, ok
}

// add notes the events of a batch, before it is visible.
func (v *versions) add(events []event.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range events {
		stream := e.Stream()
		end := streamEnd{e.Version(), e.Position()}
		if _, ok := v.end[stream]; ok {
			v.end[stream] = end
		} else {
			v.end[strings.Clone(stream)] = end // the key must not hold the record
		}
	}
}

// forget lets go of the streams of a chunk that have no event above base, after
// the tail without it became visible.
func (v *versions) forget(c *chunk, base uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for l := range c.lists {
		if end, ok := v.end[l.name]; ok && l.kind == byStream && end.position <= base {
			delete(v.end, l.name)
		}
	}
}
