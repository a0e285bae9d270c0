package eventstore

import (
	"strings"
	"sync"

	"github.com/verbatim-es/verbatim/event"
)

// waiters are reads that wait for their next event. Each is entered under
// lists of which every event it could match is on one, so a commit wakes
// candidates only and costs nothing for the others.
type waiters struct {
	mu     sync.Mutex
	closed bool
	any    map[*waiter]struct{}            // wait for every event
	on     map[list]map[*waiter]struct{}   // wait for a list
	prefix map[string]map[*waiter]struct{} // wait for types that start so
	count  int
}

// waiter is one read that waits.
type waiter struct {
	// woken gets a value when there may be something to read.
	woken    chan struct{}
	any      bool
	on       []list
	prefixes []string
}

func newWaiters() *waiters {
	return &waiters{
		any:    make(map[*waiter]struct{}),
		on:     make(map[list]map[*waiter]struct{}),
		prefix: make(map[string]map[*waiter]struct{}),
	}
}

// newWaiter enters the selection: for an item with tags under the first of
// them, which usually is rarer than a type.
func newWaiter(sel *event.Selection) *waiter {
	w := &waiter{woken: make(chan struct{}, 1)}
	query := sel.Query
	switch {
	case sel.Stream != "":
		w.on = append(w.on, list{byStream, sel.Stream})
		return w
	case sel.Category != "":
		w.on = append(w.on, list{byCategory, sel.Category})
		return w
	case len(query) == 0:
		query = event.Query{{Types: sel.Types, Tags: sel.Tags}}
	}
	for _, item := range query {
		switch {
		case len(item.Tags) > 0:
			w.on = append(w.on, list{byTag, item.Tags[0]})
		case len(item.Types) > 0:
			w.addTypes(item.Types)
		default:
			w.any = true
		}
	}
	return w
}

func (w *waiter) addTypes(types []string) {
	for _, t := range types {
		if strings.HasSuffix(t, ".") {
			w.prefixes = append(w.prefixes, t)
		} else {
			w.on = append(w.on, list{byType, t})
		}
	}
}

// add enters w. It must happen before the caller reads the head.
func (ws *waiters) add(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.count++
	if ws.closed {
		signal(w.woken)
		return
	}
	if w.any {
		ws.any[w] = struct{}{}
	}
	for _, l := range w.on {
		enter(ws.on, l, w)
	}
	for _, p := range w.prefixes {
		enter(ws.prefix, p, w)
	}
}

func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.count--
	delete(ws.any, w)
	for _, l := range w.on {
		leave(ws.on, l, w)
	}
	for _, p := range w.prefixes {
		leave(ws.prefix, p, w)
	}
}

// wake wakes those who may match one of the events.
func (ws *waiters) wake(events []event.Event) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.count == 0 {
		return
	}
	wakeAll(ws.any)
	if len(ws.on) == 0 && len(ws.prefix) == 0 {
		return
	}
	for _, e := range events {
		for l := range lists(e) {
			wakeAll(ws.on[l])
		}
		name := e.Type()
		for i := range len(name) {
			if len(ws.prefix) > 0 && name[i] == '.' {
				wakeAll(ws.prefix[name[:i+1]])
			}
		}
	}
}

// close wakes everybody, now and from now on.
func (ws *waiters) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	wakeAll(ws.any)
	for _, set := range ws.on {
		wakeAll(set)
	}
	for _, set := range ws.prefix {
		wakeAll(set)
	}
}

func (ws *waiters) len() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.count
}

func wakeAll(set map[*waiter]struct{}) {
	for w := range set {
		signal(w.woken)
	}
}

func enter[K comparable](sets map[K]map[*waiter]struct{}, key K, w *waiter) {
	set := sets[key]
	if set == nil {
		set = make(map[*waiter]struct{})
		sets[key] = set
	}
	set[w] = struct{}{}
}

func leave[K comparable](sets map[K]map[*waiter]struct{}, key K, w *waiter) {
	set := sets[key]
	delete(set, w)
	if len(set) == 0 {
		delete(sets, key)
	}
}
