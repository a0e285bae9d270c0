package aggregate

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// cached returns slots that keep the one of account 1.
func cached() (*slots[int], *slot[int]) {
	s := newSlots[int](1 << 10)
	own := s.find("account", "1")
	s.put(own, &folded[int]{}, 1)
	return s, own
}

// A turn that was passed to somebody who has left goes to whoever comes next, and
// to one only.
func TestTurnPassedToNobody(t *testing.T) {
	t.Parallel()
	s, own := cached()
	for range 2 {
		if _, turn := s.want("account", "1"); turn != nil {
			t.Fatal("the first has to wait")
		}
		_, turn := s.want("account", "1")
		select {
		case <-turn:
			t.Fatal("two have the turn")
		default:
		}
		s.give(own)
		s.leave(own)
	}
}

// One has the turn at a time, and it is not lost, whoever leaves.
func TestTurnsWithThoseWhoLeave(t *testing.T) {
	t.Parallel()
	s, own := cached()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var having atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 5000 {
				ctx := t.Context()
				if i%2 == 1 {
					ctx = ended
				}
				own, err := s.take(ctx, "account", "1")
				if err != nil {
					continue
				}
				if having.Add(1) != 1 {
					t.Error("two have the turn")
				}
				runtime.Gosched() // the others come to wait
				having.Add(-1)
				s.give(own)
			}
		})
	}
	callers.Wait()
	if own.wanted != 0 {
		t.Errorf("wanted by %d", own.wanted)
	}
}

// A slot that is not in the map, not yet or not any more, stands for the one that
// is.
func TestSlotsOutsideTheMap(t *testing.T) {
	t.Parallel()
	s := newSlots[int](1 << 10)
	one, other := s.find("account", "1"), s.find("account", "1")
	s.put(one, &folded[int]{version: 1}, 1)
	s.put(other, &folded[int]{version: 2}, 1)
	if f := s.get(one); f == nil || f.version != 2 || len(s.of) != 1 || s.states != 1 {
		t.Errorf("%+v, %d slots, %d states", f, len(s.of), s.states)
	}
	s.remove(other)
	if f := s.get(one); f != nil || len(s.of) != 0 || s.bytes != 0 {
		t.Errorf("%+v, %d slots, %d bytes", f, len(s.of), s.bytes)
	}
	own, _ := s.want("account", "1")
	s.put(one, &folded[int]{version: 3}, 1)
	if f := s.get(own); f == nil || f.version != 3 {
		t.Errorf("%+v", f)
	}
	s.give(own)
	if len(s.of) != 1 {
		t.Error("a slot with a state was forgotten")
	}
}
