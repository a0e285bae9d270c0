package commit

import (
	"strings"

	"github.com/verbatim-es/verbatim/event"
)

// accepted finds events of a batch by what a query names, so that each of a
// thousand conditions need not look at a thousand events. The zero value has
// none.
type accepted struct {
	events      []event.Event
	all         []int            // indexes of events, ascending, as are these:
	types, tags map[string][]int // by name
	lists       [][]int          // scratch space of candidates
}

// grow takes up what the batch has more by now.
func (a *accepted) grow(batch []event.Event) {
	if a.types == nil {
		a.types, a.tags = make(map[string][]int), make(map[string][]int)
	}
	for i := len(a.events); i < len(batch); i++ {
		a.all = append(a.all, i)
		typ := batch[i].Type()
		a.types[typ] = append(a.types[typ], i)
		for tag := range batch[i].Tags() {
			a.tags[tag] = append(a.tags[tag], i)
		}
	}
	a.events = batch
}

// match returns the position of the first event behind a position that matches,
// 0 if none does.
func (a *accepted) match(q event.Query, after uint64) (first uint64) {
	for i, item := range q {
		for _, indexes := range a.candidates(item) {
			for _, at := range indexes {
				e := a.events[at]
				if first != 0 && e.Position() >= first {
					break
				}
				if e.Position() > after && q[i:i+1].Matches(e) {
					first = e.Position()
					break
				}
			}
		}
	}
	return first
}

// candidates returns lists, of which one has whatever matches the item. They are
// valid until the next call.
func (a *accepted) candidates(item event.Item) [][]int {
	a.lists = a.lists[:0]
	switch {
	case len(item.Tags) > 0:
		rarest := a.tags[item.Tags[0]]
		for _, tag := range item.Tags[1:] {
			if on := a.tags[tag]; len(on) < len(rarest) {
				rarest = on
			}
		}
		a.lists = append(a.lists, rarest)
	case len(item.Types) > 0:
		for _, t := range item.Types {
			a.lists = append(a.lists, a.types[t])
			for typ, on := range a.types {
				if strings.HasSuffix(t, ".") && strings.HasPrefix(typ, t) {
					a.lists = append(a.lists, on)
				}
			}
		}
	default:
		a.lists = append(a.lists, a.all)
	}
	return a.lists
}
