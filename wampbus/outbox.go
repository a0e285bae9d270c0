package wampbus

import (
	"context"
	"sync"
)

// outbox holds the frames that wait to be written to one client, end to end in
// one buffer, so that the writer sends many of them with one system call. Its
// size is bounded in bytes; put never waits.
type outbox struct {
	limit int
	wake  chan struct{} // has a value when there may be something to take

	mu       sync.Mutex
	pending  []byte
	spare    []byte // the writer's last buffer, for reuse
	writing  int    // bytes taken and not yet written
	reserved int    // bytes that answers in the making may take
	high     int
	sealed   bool          // nothing more is accepted
	room     chan struct{} // closed when there is more room; nil when nobody waits
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, wake: make(chan struct{}, 1)}
}

// maxKept keeps one burst from holding its memory for the session's life.
const maxKept = 64 << 10

// put queues a frame and reports whether there was room for it. A frame that
// is alone always fits. Frames for a sealed outbox are dropped: the session is
// over, and its client knows.
func (o *outbox) put(opcode byte, payload []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return true
	}
	waiting := len(o.pending) + o.writing
	if size := len(payload) + maxFrameHeader; waiting > 0 && waiting+size > o.limit {
		return false
	}
	if o.pending == nil {
		o.pending, o.spare = o.spare, nil
	}
	o.pending = appendFrame(o.pending, opcode, payload)
	o.high = max(o.high, len(o.pending)+o.writing)
	o.signal()
	return true
}

// seal accepts nothing more. Frames that wait are dropped first when drop is
// set; last, if any, are put behind the rest whatever the bound.
func (o *outbox) seal(drop bool, last func(dst []byte) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed && !drop {
		return
	}
	if drop {
		o.pending = nil
	}
	if !o.sealed && last != nil {
		o.pending = last(o.pending)
	}
	o.sealed = true
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns everything that waits, and whether nothing will follow. The
// bytes are the caller's until written.
func (o *outbox) take() (frames []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.pending = o.pending, nil
	o.writing = len(frames)
	return frames, o.sealed
}

// written gives n bytes of what was taken back to the bound, and the buffer
// when all of it was written.
func (o *outbox) written(n int, frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing -= n
	if o.writing == 0 && cap(frames) <= maxKept {
		o.spare = frames[:0]
	}
	o.roomChanged()
}

func (o *outbox) roomChanged() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// reserve waits until an answer of up to n bytes fits, and sets room aside for
// it; release gives it back. An answer that can never fit waits to be alone.
func (o *outbox) reserve(ctx context.Context, n int) error {
	for {
		o.mu.Lock()
		taken := len(o.pending) + o.writing + o.reserved
		if taken == 0 || taken+n <= o.limit {
			o.reserved += n
			o.mu.Unlock()
			return nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *outbox) release(n int) {
	if n == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserved -= n
	o.roomChanged()
}

// waiting is how many bytes are queued, and how many ever were at once.
func (o *outbox) waiting() (now, high int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending) + o.writing, o.high
}
