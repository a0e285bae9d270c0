package wampbus

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// pendingCall is a CALL without an answer yet, or one whose procedure goes on
// behind its answer: a CANCEL is answered before the procedure has ended. Its
// fields are the session's.
type pendingCall struct {
	request   wamp.ID
	procedure string
	cancel    context.CancelFunc // nil while nothing serves it here; the reader's
	reserved  int
	answered  bool
}

// admitCall enters a call, or returns why it is refused. The caller holds mu.
func (s *session) admitCall(m *wamp.Call) error {
	limits := &s.bus.limits
	own := len(s.calls) + s.orphans
	switch {
	case s.retired:
		return errShuttingDown
	case own >= limits.Calls:
		s.bus.stats.refused.Add(1)
		return tooLarge("calls in flight", limits.Calls, own+1)
	case !s.bus.enterCall(own, limits.TotalCalls/limits.Calls/4):
		return errOverloaded
	}
	s.calls[m.Request] = &pendingCall{request: m.Request, procedure: string(m.Procedure)}
	return nil
}

// enterCall counts a call in, of a session or link that has own ones in flight,
// unless Limits.TotalCalls forbids it. The fewer are left of those, the fewer one
// may have: no more than the left ones divided by part, or just one. So many that
// call a lot shut nobody out who calls a little. By a part of
// TotalCalls/Calls/4, sessions have all of their Calls until a quarter is left.
func (b *Bus) enterCall(own, part int) bool {
	left := b.limits.TotalCalls - int(b.calls.Add(1)-1)
	if left > own*max(part, 1) {
		return true
	}
	b.calls.Add(-1)
	b.stats.refused.Add(1)
	return false
}

// direct takes what goes past the router: calls of the bus's own procedures, and
// their cancellations. It reports whether m was one. What comes before the
// session has joined waits for that; what comes in the place of a HELLO or an
// AUTHENTICATE is the router's to refuse.
func (s *session) direct(m wamp.Message) bool {
	switch m := m.(type) {
	case *wamp.Authenticate:
		select {
		case <-s.challenged:
		default:
		}
		return false
	case *wamp.Call:
		if strings.HasPrefix(string(m.Procedure), "wamp.") || !s.awaitWelcome() {
			return false
		}
		s.call(m)
		return true
	case *wamp.Cancel:
		return s.awaitWelcome() && s.cancelCall(m)
	}
	return false
}

// awaitWelcome waits until the session has joined, and reports whether it has:
// not when it is over, or was not even asked for, or a challenge is open.
func (s *session) awaitWelcome() bool {
	if !s.greeted {
		return false
	}
	select {
	case <-s.welcomed:
		return true
	default:
	}
	select {
	case <-s.welcomed:
		return true
	case <-s.challenged:
		return false
	case <-s.ctx.Done():
		return false
	}
}

// call serves a call that was admitted, if its caller may make it.
func (s *session) call(m *wamp.Call) {
	c, procedure := s.pending(m.Request), string(m.Procedure)
	by := &caller{party: s, call: c, roles: s.who.roles}
	if !s.bus.mayCall(by.roles, procedure) {
		denied := &wamp.Error{Type: wamp.CALL, Request: m.Request, Details: wamp.Dict{}, Error: wamp.ErrNotAuthorized}
		s.who.explain(denied, procedure)
		s.conclude(c, denied, nil)
		return
	}
	if !s.who.anonymous {
		by.principal = s.who.authID
		if by.principal == "" {
			s.conclude(c, &wamp.Error{
				Type: wamp.CALL, Request: m.Request, Details: wamp.Dict{}, Error: wamp.ErrAuthorizationFailed, Arguments: wamp.List{"the session has no authid"},
			}, nil)
			return
		}
	}
	if ms, ok := codec.Integer(m.Options[wamp.OptTimeout]); ok {
		by.timeout = time.Duration(ms) * time.Millisecond
	}
	ctx, cancel := by.within()
	c.cancel = cancel
	if !s.bus.dispatcher.dispatch(ctx, by, procedure, m.Arguments, m.ArgumentsKw, func(result answer, err error) {
		defer cancel()
		s.conclude(c, outcome(m.Request, result, err), result.spent)
	}) {
		cancel()
		s.conclude(c, refusal(wamp.CALL, m.Request, errShuttingDown), nil)
	}
}

func outcome(call wamp.ID, result answer, err error) wamp.Message {
	if err != nil {
		return refusal(wamp.CALL, call, err)
	}
	return &wamp.Result{Request: call, Details: wamp.Dict{}, Arguments: result.args, ArgumentsKw: result.kwargs}
}

// cancelCall ends a call as its caller wants, and reports whether it is none of
// the router's. One that is not there, any more, is no error.
func (s *session) cancelCall(m *wamp.Cancel) bool {
	mode, _ := m.Options[wamp.OptMode].(string)
	s.mu.Lock()
	c := s.calls[m.Request]
	here := c != nil && c.cancel != nil
	answer := here && mode != wamp.CancelModeKill
	if answer {
		s.settleCall(c)
		s.orphans++
	}
	s.mu.Unlock()
	if here && mode != wamp.CancelModeSkip {
		c.cancel()
	}
	if answer {
		s.queueAnswer(c, &wamp.Error{Type: wamp.CALL, Request: m.Request, Details: wamp.Dict{}, Error: wamp.ErrCanceled}, nil)
	}
	return here || c == nil
}

// conclude ends a call: nothing serves it any more, and m is its answer, unless
// it has one. It counts no more before that is sent: its caller may call again.
// spent, unless nil, may be called once m is not needed any more.
func (s *session) conclude(c *pendingCall, m wamp.Message, spent func()) {
	s.mu.Lock()
	answer := !c.answered
	if answer {
		s.settleCall(c)
	} else {
		s.orphans--
	}
	s.mu.Unlock()
	s.bus.calls.Add(-1)
	if answer {
		s.queueAnswer(c, m, spent)
	}
}

// relay answers a call with what the router says.
func (s *session) relay(m wamp.Message) {
	call, _ := answered(m)
	c := s.pending(call)
	if c == nil {
		return
	}
	if m, ok := m.(*wamp.Error); ok {
		s.who.explain(m, c.procedure)
	}
	s.conclude(c, m, nil)
}

// settleCall says that a call is being answered. The caller holds mu, and calls
// queueAnswer.
func (s *session) settleCall(c *pendingCall) {
	c.answered = true
	delete(s.calls, c.request)
	s.answering++
}

// scratches is memory in which answers are encoded.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

func (s *session) queueAnswer(c *pendingCall, m wamp.Message, spent func()) {
	defer s.guard()
	scratch := scratches.Get().(*[]byte)
	*scratch = s.putAnswer(c, m, spent, *scratch)
	scratches.Put(scratch)
	s.box.release(c.reserved)
	s.mu.Lock()
	s.answering--
	s.mu.Unlock()
	s.checkQuiet()
}

// putAnswer encodes the answer to a call into the outbox. It returns scratch for
// reuse.
func (s *session) putAnswer(c *pendingCall, m wamp.Message, spent func(), scratch []byte) []byte {
	parts, err := s.format.Parts(scratch[:0], m)
	switch {
	case err != nil: // a program's answer that no format can express
		s.bus.log.Error("an answer can't be sent", "remote", s.conn.RemoteAddr().String(), "error", err)
		s.send(refusal(wamp.CALL, c.request, errInternalFault))
		return scratch
	case parts.Len() > s.transport.most():
		s.send(refusal(wamp.CALL, c.request, untold(c.procedure, tooLarge("client's message", s.transport.most(), parts.Len()))))
		return scratch
	}
	if parts.Spent = spent; parts.Body == nil && spent != nil {
		defer spent() // it is copied
	}
	s.put(frameMessage, parts, c.reserved)
	return reusable(parts.Head)
}

// answered returns the call that a message answers, if it answers one.
func answered(m wamp.Message) (call wamp.ID, ok bool) {
	switch m := m.(type) {
	case *wamp.Result:
		return m.Request, true
	case *wamp.Error:
		return m.Request, m.Type == wamp.CALL
	}
	return 0, false
}

// reusable keeps no large memory.
func reusable(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b
}

// pending returns a call without an answer yet, nil when there is none.
func (s *session) pending(id wamp.ID) *pendingCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

// unserved is how many calls nothing here serves: those that the router was to.
func (s *session) unserved() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.cancel == nil {
			n++
		}
	}
	return n
}

// The methods of party.
func (s *session) alive() context.Context   { return s.ctx }
func (s *session) patient() context.Context { return s.waits }

func (s *session) reserve(ctx context.Context, c *pendingCall, n int) error {
	if err := s.box.reserve(ctx, n); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.answered { // canceled meanwhile
		s.box.release(n)
		return context.Canceled
	}
	c.reserved += n
	return nil
}
