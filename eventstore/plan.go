package eventstore

import (
	"math"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/event"
)

// scanBound is how many steps through lists one page may take before it ends
// with what it has: a filter of many names, or a selective one over a long log,
// must not hold a reader transaction for long.
const scanBound = 50_000

// A selection is read from two sources, the index and the tail, by the same
// plan: lists of positions, united and intersected. All of them only ever move
// in the direction of reading.

// source has the lists of a range of positions.
type source interface {
	postings(l list, backward bool) postings
	// everything is the list of all events.
	everything(backward bool) postings
	// typesWithPrefix returns the types of the range that start so.
	typesWithPrefix(prefix string) ([]string, error)
}

// postings are positions in the direction of reading.
type postings interface {
	// seek returns the first hit at position or further on. Positions must
	// not go back from call to call.
	seek(position uint64) (hit, error)
}

// hit is one position of a list.
type hit struct {
	position uint64
	// version is that in the stream, for a hit on a stream's list.
	version uint64
	// ok is false at the end of the list.
	ok bool
	// partial is true when the scan bound was met: there is no hit before
	// this position, and whether it is one is not known.
	partial bool
}

// end is beyond every position in the direction of reading.
func end(backward bool) uint64 {
	if backward {
		return 0
	}
	return math.MaxUint64
}

// before reports whether a comes before b in the direction of reading.
func before(a, b uint64, backward bool) bool {
	if backward {
		return a > b
	}
	return a < b
}

// planSelection returns the postings of a selection that has a filter.
func planSelection(s source, sel *event.Selection) (*plan, error) {
	switch {
	case sel.Stream != "":
		return newPlan(s.postings(list{byStream, sel.Stream}, sel.Backward), sel.Backward), nil
	case sel.Category != "":
		return newPlan(s.postings(list{byCategory, sel.Category}, sel.Backward), sel.Backward), nil
	case len(sel.Query) > 0:
		return planned(s, sel.Query, sel.Backward)
	default:
		return planned(s, event.Query{{Types: sel.Types, Tags: sel.Tags}}, sel.Backward)
	}
}

// planQuery is planned for a source that has no errors.
func planQuery(s source, q event.Query, backward bool) *plan {
	p, err := planned(s, q, backward)
	if err != nil {
		panic(err)
	}
	return p
}

func planned(s source, q event.Query, backward bool) (*plan, error) {
	p := newPlan(nil, backward)
	var items []postings
	for _, item := range q {
		postings, err := p.item(s, item)
		if err != nil {
			return nil, err
		}
		items = append(items, postings)
	}
	p.postings = p.unite(items)
	return p, nil
}

// plan is the postings of a whole selection. It counts the steps.
type plan struct {
	postings
	backward bool
	steps    int
	bound    int
	done     <-chan struct{} // nobody waits any more; nil is never
}

// spent reports whether the plan has taken its steps.
func (p *plan) spent() bool {
	select {
	case <-p.done:
		return true
	default:
		return p.steps > p.bound
	}
}

func newPlan(p postings, backward bool) *plan {
	return &plan{postings: p, backward: backward, bound: math.MaxInt}
}

func (p *plan) item(s source, item event.Item) (postings, error) {
	var all []postings
	if len(item.Types) > 0 {
		types, err := typesOf(s, item.Types)
		if err != nil {
			return nil, err
		}
		var any []postings
		for _, name := range types {
			any = append(any, s.postings(list{byType, name}, p.backward))
		}
		all = append(all, p.unite(any))
	}
	for _, tag := range item.Tags {
		all = append(all, s.postings(list{byTag, tag}, p.backward))
	}
	switch len(all) {
	case 0:
		return s.everything(p.backward), nil
	case 1:
		return all[0], nil
	default:
		return &intersection{plan: p, all: all}, nil
	}
}

// typesOf replaces prefixes by the types that there are.
func typesOf(s source, types []string) ([]string, error) {
	var names []string
	for _, t := range types {
		if !strings.HasSuffix(t, ".") {
			names = append(names, t)
			continue
		}
		with, err := s.typesWithPrefix(t)
		if err != nil {
			return nil, err
		}
		names = append(names, with...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// union is any of several postings.
type union struct {
	plan    *plan
	any     []postings
	heads   []hit // of any, valid when at or beyond the position sought
	started bool
}

func (p *plan) unite(any []postings) postings {
	if len(any) == 1 {
		return any[0]
	}
	return &union{plan: p, any: any, heads: make([]hit, len(any))}
}

func (u *union) seek(position uint64) (hit, error) {
	best := hit{position: end(u.plan.backward)}
	for i, p := range u.any {
		h := &u.heads[i]
		stale := !u.started || h.partial || h.ok && before(h.position, position, u.plan.backward)
		if stale {
			u.plan.steps++
			var err error
			if *h, err = p.seek(position); err != nil {
				return hit{}, err
			}
		}
		if h.ok && before(h.position, best.position, u.plan.backward) {
			best = *h
		}
	}
	u.started = true
	return best, nil
}

// intersection is what several postings have in common. Each seek leaps to
// the furthest of them, so it costs what the rarest one has.
type intersection struct {
	plan *plan
	all  []postings
}

func (x *intersection) seek(position uint64) (hit, error) {
	for agreed := 0; ; {
		var at hit
		for _, p := range x.all {
			x.plan.steps++
			h, err := p.seek(position)
			if err != nil || !h.ok || h.partial {
				return h, err
			}
			if at = h; h.position != position {
				position, agreed = h.position, 0
			}
			if agreed++; agreed >= len(x.all) {
				return at, nil
			}
		}
		if x.plan.spent() {
			return hit{position: position, ok: true, partial: true}, nil
		}
	}
}

// allPostings is every position up to last.
type allPostings struct{ last uint64 }

func (p *allPostings) seek(position uint64) (hit, error) {
	return hit{position: position, ok: position > 0 && position <= p.last}, nil
}
