package eventstore

import "sync"

// ahead is how many hits are listed before their events are read, and atFirst how
// many of them when it begins: most streams are short.
const ahead, atFirst = 128, 16

// listing is what a plan lists from one position to another, some hits at a time.
type listing struct {
	plan        *plan
	first, next uint64
	last        uint64

	hits      []hit
	positions []uint64 // of hits
	// ended is set when nothing is behind the hits: because that is all, because
	// of err, or because the plan has taken its steps and stopped before a
	// position.
	ended   bool
	stopped uint64
	err     error
}

var listings = sync.Pool{New: func() any {
	return &listing{hits: make([]hit, 0, ahead), positions: make([]uint64, 0, ahead)}
}}

func newListing(p *plan, from, to uint64) *listing {
	l := listings.Get().(*listing)
	*l = listing{plan: p, first: from, next: from, last: to, hits: l.hits[:0], positions: l.positions[:0]}
	return l
}

// close gives up the listing, and the positions it returned.
func (l *listing) close() {
	l.plan = nil
	listings.Put(l)
}

// read replaces the hits by at most n more.
func (l *listing) read(n int) {
	l.hits, l.positions = l.hits[:0], l.positions[:0]
	for len(l.hits) < n && !l.ended {
		l.step()
		l.neighbours(n)
	}
}

// neighbours takes what follows the last hit in the same run of the index: the
// plan of one list need not seek it.
func (l *listing) neighbours(n int) {
	p, ok := l.plan.postings.(*indexPostings)
	if !ok || l.ended {
		return
	}
	for ; len(l.hits) < n && l.plan.steps < l.plan.bound; l.plan.steps++ {
		h := p.neighbour()
		if !h.ok || before(l.last, h.position, p.backward) {
			return
		}
		l.add(h)
	}
}

func (l *listing) add(h hit) {
	l.hits, l.positions = append(l.hits, h), append(l.positions, h.position)
	if l.next = h.position + 1; l.plan.backward {
		l.next = h.position - 1
	}
}

func (l *listing) step() {
	backward := l.plan.backward
	if before(l.last, l.next, backward) || l.next == 0 {
		l.ended = true
		return
	}
	if l.next != l.first && l.plan.spent() {
		l.ended, l.stopped = true, l.next
		return
	}
	l.plan.steps++
	h, err := l.plan.seek(l.next)
	switch {
	case err != nil:
		l.ended, l.err = true, err
	case !h.ok || before(l.last, h.position, backward):
		l.ended = true
	case h.partial:
		l.ended, l.stopped = true, h.position
	default:
		l.add(h)
	}
}
