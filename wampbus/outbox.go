package wampbus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// outbox holds the frames that wait to be written to one client, so that the
// writer sends many of them with one system call. Small messages stand end to
// end in one buffer; of large ones it holds the body where it is, shared with
// other sessions. Its size is bounded in bytes; put never waits.
type outbox struct {
	limit  int
	framer framer
	wake   chan struct{} // has a value when there may be something to take

	mu       sync.Mutex
	pending  batch
	spare    batch // the writer's last, for reuse
	writing  int   // bytes taken and not yet written
	reserved int   // bytes that answers in the making may take
	high     int
	emptied  uint64        // how often the writer found nothing to take
	sealed   bool          // nothing more is accepted
	room     chan struct{} // closed when there is more room; nil when nobody waits
}

// batch is frames in the order in which they are written.
type batch struct {
	own  []byte
	refs []ref
	size int // of own and of what refs hold
}

// ref is bytes of others, which stand before own[at]. spent, unless nil, is called
// when they were written; they may never be.
type ref struct {
	at    int
	body  []byte
	spent func()
}

// segments appends the batch's bytes, in order.
func (b *batch) segments(dst net.Buffers) net.Buffers {
	from := 0
	for _, r := range b.refs {
		if r.at > from {
			dst = append(dst, b.own[from:r.at])
		}
		dst = append(dst, r.body)
		from = r.at
	}
	if from < len(b.own) {
		dst = append(dst, b.own[from:])
	}
	return dst
}

func newOutbox(limit int, framer framer) *outbox {
	return &outbox{limit: limit, framer: framer, wake: make(chan struct{}, 1)}
}

// maxKept keeps one burst from holding its memory for the session's life.
const maxKept = 64 << 10

// headroom is what may stand around the records of an answer, in bytes.
const headroom = 512

// put queues a frame and reports whether there was room for it, and whether the
// queue is now more than half full. A frame that is alone always fits, and one
// for which room was reserved, whatever came between. Frames for a sealed outbox
// are dropped: the session is over, and its client knows.
func (o *outbox) put(kind frame, m codec.Parts, reserved int) (fits, crowded bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return true, false
	}
	n := m.Len()
	waiting := o.pending.size + o.writing
	covered := reserved > 0 && n <= reserved+reserved/2+headroom // half again: base64
	if waiting > 0 && !covered && waiting+n+maxFrameHeader > o.limit {
		return false, false
	}
	p := &o.pending
	if p.own == nil {
		*p, o.spare = o.spare, batch{}
	}
	before := len(p.own)
	p.own = append(o.framer.appendHead(p.own, kind, n), m.Head...)
	if len(m.Body) > 0 {
		p.refs = append(p.refs, ref{len(p.own), m.Body, m.Spent})
	}
	p.own = append(p.own, m.Tail...)
	p.size += len(p.own) - before + len(m.Body)
	waiting = p.size + o.writing
	o.high = max(o.high, waiting)
	o.signal()
	return true, waiting > o.limit/2
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
		o.pending = batch{}
	}
	if !o.sealed && last != nil {
		before := len(o.pending.own)
		o.pending.own = last(o.pending.own)
		o.pending.size += len(o.pending.own) - before
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
func (o *outbox) take() (frames batch, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames, o.pending = o.pending, batch{}
	if frames.size == 0 {
		o.emptied++
	}
	o.writing = frames.size
	return frames, o.sealed
}

// written gives n bytes of what was taken back to the bound, and the buffer
// when all of it was written.
func (o *outbox) written(n int, frames batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing -= n; o.writing == 0 {
		for _, r := range frames.refs {
			if r.spent != nil {
				r.spent()
			}
		}
		clear(frames.refs) // they may be others' large bodies
		if cap(frames.own) <= maxKept {
			o.spare = batch{own: frames.own[:0], refs: frames.refs[:0]}
		}
	}
	o.roomChanged()
}

func (o *outbox) roomChanged() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// timesEmptied tells apart whether the queue was empty in between.
func (o *outbox) timesEmptied() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.emptied
}

// ease waits until no more than a quarter of the bound waits to be written, at
// most for the time given, and reports whether it got there. The end of either
// context ends it, too.
func (o *outbox) ease(ctx, session context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		o.mu.Lock()
		eased := o.pending.size+o.writing <= o.limit/4
		room := o.roomLocked()
		o.mu.Unlock()
		if eased {
			return true
		}
		select {
		case <-room:
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		case <-session.Done():
			return false
		}
	}
}

// roomLocked returns the channel that is closed when there is more room.
func (o *outbox) roomLocked() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// reserve waits until an answer of up to n bytes fits, and sets room aside for
// it; release gives it back. An answer that can never fit waits to be alone.
func (o *outbox) reserve(ctx context.Context, n int) error {
	for {
		o.mu.Lock()
		taken := o.pending.size + o.writing + o.reserved
		if taken == 0 || taken+n <= o.limit {
			o.reserved += n
			o.mu.Unlock()
			return nil
		}
		room := o.roomLocked()
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
	return o.pending.size + o.writing, o.high
}
