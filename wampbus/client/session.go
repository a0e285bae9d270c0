package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// session is a joined WAMP session on one connection. It ends once, and is not
// used again; the client makes another.
type session struct {
	link   dial.Link
	format codec.Format
	log    *slog.Logger
	store  event.ID // the log's when the session began, zero if it may not be asked

	writing chan struct{} // holds a value while somebody writes
	topics  sync.Mutex    // held while subscriptions change: the router knows one per topic
	done    chan struct{} // closed when the session is over
	retired chan struct{} // closed when the server takes no new calls
	parts   sync.WaitGroup

	mu      sync.Mutex
	err     error // why it is over
	leaving bool  // retired is closed
	request wamp.ID
	pending map[wamp.ID]chan wamp.Message // requests without answer
	subs    map[wamp.ID][]*Subscription   // by the router's subscription id
}

// join opens a session over a link that is new. An error leaves the link open.
func join(ctx context.Context, l dial.Link, format codec.Format, o *Options) (*session, error) {
	s := &session{
		link: l, format: format, log: o.Logger,
		writing: make(chan struct{}, 1), done: make(chan struct{}), retired: make(chan struct{}),
		pending: make(map[wamp.ID]chan wamp.Message), subs: make(map[wamp.ID][]*Subscription),
	}
	if err := s.hello(ctx, o); err != nil {
		return nil, err
	}
	s.parts.Go(s.read)
	s.parts.Go(func() { s.keepAlive(o.KeepAlive) })
	return s, nil
}

// hello exchanges HELLO and WELCOME, and a challenge between them.
func (s *session) hello(ctx context.Context, o *Options) error {
	if err := s.send(ctx, &wamp.Hello{Realm: wamp.URI(o.Realm), Details: o.helloDetails()}); err != nil {
		return err
	}
	for {
		m, err := s.receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wamp.Welcome:
			return nil
		case *wamp.Challenge:
			signature, err := o.respond(m)
			if err != nil {
				return err
			}
			if err := s.send(ctx, &wamp.Authenticate{Signature: signature, Extra: wamp.Dict{}}); err != nil {
				return err
			}
		case *wamp.Abort:
			return abortError(m.Reason, m.Details)
		default:
			return fmt.Errorf("the server answered HELLO with %s", m.MessageType())
		}
	}
}

// close leaves the realm and ends the session; err is why.
func (s *session) close(err error) {
	if s.ended() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.send(ctx, &wamp.Goodbye{Reason: wamp.CloseRealm, Details: wamp.Dict{}})
		s.link.Leave()
	}
	s.fail(err)
	s.parts.Wait()
}

// ended is why the session is over, nil while it lives.
func (s *session) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the session. The first error counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	s.link.Close()
}

// retire notes that the server takes no new calls: it is shutting down, and
// will end the session itself.
func (s *session) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leaving {
		s.leaving = true
		close(s.retired)
	}
}

// usable reports whether calls may be made.
func (s *session) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && !s.leaving
}

// keepAlive pings a server that has been silent for a time, until the session is
// over. That it stays silent is the link's to notice.
func (s *session) keepAlive(after time.Duration) {
	timer := time.NewTimer(after)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.done:
			return
		}
		left := after - s.link.Silent()
		if left <= 0 {
			_ = s.link.Ping()
			left = after
		}
		timer.Reset(left)
	}
}

// read dispatches what comes in, until the session is over.
func (s *session) read() {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in a client", "panic", p, "stack", string(debug.Stack()))
			s.fail(&event.UnavailableError{Message: "internal error"})
		}
	}()
	for {
		m, err := s.receive()
		if err != nil {
			s.fail(lost(err))
			return
		}
		switch m := m.(type) {
		case *wamp.Goodbye:
			s.fail(&event.UnavailableError{Message: "the server ended the session", Cause: abortError(m.Reason, m.Details)})
			return
		case *wamp.Abort:
			s.fail(&event.UnavailableError{Message: "the server ended the session", Cause: abortError(m.Reason, m.Details)})
			return
		case *wamp.Event:
			s.deliver(m)
		default:
			s.settle(m)
		}
	}
}

func lost(cause error) error {
	return &event.UnavailableError{Message: "the connection is lost", Cause: cause}
}

func (s *session) receive() (wamp.Message, error) {
	b, err := s.link.Read()
	if err != nil {
		return nil, err
	}
	return s.format.Decode(b)
}

// settle hands an answer to the one who asked.
func (s *session) settle(m wamp.Message) {
	var id wamp.ID
	switch m := m.(type) {
	case *wamp.Result:
		id = m.Request
	case *wamp.Error:
		id = m.Request
	case *wamp.Subscribed:
		id = m.Request
	case *wamp.Unsubscribed:
		id = m.Request
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := s.pending[id]
	subscribed, ok := m.(*wamp.Subscribed)
	if wait == nil { // it was canceled
		if ok {
			s.parts.Go(func() { s.unsubscribe(nil, subscribed.Subscription) })
		}
		return
	}
	delete(s.pending, id)
	if ok {
		s.attach(id, subscribed.Subscription) // before any event of it is read
	}
	wait <- m
}

// lastWord is how long a failed write waits for what the server may have said
// before it closed the connection.
const lastWord = time.Second

// send writes a message, at most one at a time. When it fails nothing of the
// message was sent, unless a lostError says that it may have been.
func (s *session) send(ctx context.Context, m wamp.Message) error {
	b, err := s.format.Append(nil, m)
	if err != nil {
		return err
	}
	if len(b) > s.link.Limit() {
		return &event.TooLargeError{Bound: "message", Limit: uint64(s.link.Limit()), Actual: uint64(len(b))}
	}
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return &lostError{cause: s.ended()}
	}
	defer func() { <-s.writing }()
	if err := s.link.Write(b); err != nil {
		select {
		case <-s.done: // for the reason that the server gave
		case <-time.After(lastWord):
		}
		s.fail(lost(err))
		return &lostError{cause: s.ended(), sent: true}
	}
	return nil
}

// expect enters a request and returns where its answer will come.
func (s *session) expect() (wamp.ID, chan wamp.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, nil, &lostError{cause: s.err}
	}
	s.request++
	wait := make(chan wamp.Message, 1)
	s.pending[s.request] = wait
	return s.request, wait, nil
}

func (s *session) forget(id wamp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, id)
}

// lostError is the session's end while something was to be sent. sent tells
// that some of it may have been.
type lostError struct {
	cause error
	sent  bool
}

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// unansweredError is what is known of a call that was sent and not answered: it
// may have had its effect.
type unansweredError struct{ cause error }

func (e *unansweredError) Error() string { return "no answer: " + e.cause.Error() }
func (e *unansweredError) Unwrap() error { return e.cause }

// call calls a procedure. A call that ends with ctx is canceled at the server.
// Once anything of it may have been sent, an error that is no answer is an
// unansweredError.
func (s *session) call(ctx context.Context, procedure string, args wamp.List, kwargs wamp.Dict) (*wamp.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, wait, err := s.expect()
	if err != nil {
		return nil, err
	}
	m := &wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: wamp.URI(procedure), Arguments: args, ArgumentsKw: kwargs}
	if err := s.send(ctx, m); err != nil {
		s.forget(id)
		if gone := (*lostError)(nil); errors.As(err, &gone) && gone.sent {
			err = &unansweredError{err}
		}
		return nil, err
	}
	select {
	case m := <-wait:
		return result(procedure, m)
	case <-ctx.Done():
		s.forget(id)
		cancel, stop := context.WithTimeout(context.WithoutCancel(ctx), dial.WriteTimeout)
		defer stop()
		_ = s.send(cancel, &wamp.Cancel{Request: id, Options: wamp.Dict{wamp.OptMode: wamp.CancelModeKillNoWait}})
		return nil, &unansweredError{ctx.Err()}
	case <-s.done:
		select {
		case m := <-wait: // the answer was the last thing that came
			return result(procedure, m)
		default:
			return nil, &unansweredError{&lostError{cause: s.ended(), sent: true}}
		}
	}
}

func result(procedure string, m wamp.Message) (*wamp.Result, error) {
	switch m := m.(type) {
	case *wamp.Result:
		return m, nil
	case *wamp.Error:
		return nil, wireError(m)
	}
	return nil, fmt.Errorf("the server answered the call of %s with %s", procedure, m.MessageType())
}
