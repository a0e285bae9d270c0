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
	any    *waiting            // for every event
	on     map[list]*waiting   // for those of a list
	prefix map[string]*waiting // for types that start so
	count  int
	wakes  uint64 // calls of wake
}

// waiting are those who wait for the same.
type waiting struct {
	waiters map[*waiter]struct{}
	woken   uint64 // by which call of wake
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
		any:    newWaiting(),
		on:     make(map[list]*waiting),
		prefix: make(map[string]*waiting),
	}
}

func newWaiting() *waiting { return &waiting{waiters: make(map[*waiter]struct{})} }

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
		ws.any.waiters[w] = struct{}{}
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
	delete(ws.any.waiters, w)
	for _, l := range w.on {
		leave(ws.on, l, w)
	}
	for _, p := range w.prefixes {
		leave(ws.prefix, p, w)
	}
}

// wake wakes those who may match one of the events, and returns how many signals
// that took: one for each of what a waiter waits for, however many events are of
// it.
func (ws *waiters) wake(events []event.Event) (signals int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.count == 0 {
		return 0
	}
	ws.wakes++
	signals = ws.any.wake(ws.wakes)
	if len(ws.on) == 0 && len(ws.prefix) == 0 {
		return signals
	}
	for _, e := range events {
		for l := range lists(e) {
			signals += ws.on[l].wake(ws.wakes)
		}
		name := e.Type()
		for i := range len(name) {
			if len(ws.prefix) > 0 && name[i] == '.' {
				signals += ws.prefix[name[:i+1]].wake(ws.wakes)
			}
		}
	}
	return signals
}

// close wakes everybody, now and from now on.
func (ws *waiters) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	ws.wakes++
	ws.any.wake(ws.wakes)
	for _, w := range ws.on {
		w.wake(ws.wakes)
	}
	for _, w := range ws.prefix {
		w.wake(ws.wakes)
	}
}

func (ws *waiters) len() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.count
}

// wake wakes all of them, unless this call of waiters.wake has. Nobody waits
// where w is nil.
func (w *waiting) wake(call uint64) (signals int) {
	if w == nil || w.woken == call {
		return 0
	}
	w.woken = call
	for one := range w.waiters {
		signal(one.woken)
	}
	return len(w.waiters)
}

func enter[K comparable](on map[K]*waiting, key K, w *waiter) {
	if on[key] == nil {
		on[key] = newWaiting()
	}
	on[key].waiters[w] = struct{}{}
}

func leave[K comparable](on map[K]*waiting, key K, w *waiter) {
	at := on[key]
	if at == nil {
		return // entered after the end
	}
	delete(at.waiters, w)
	if len(at.waiters) == 0 {
		delete(on, key)
	}
}
