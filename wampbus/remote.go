package wampbus

import (
	"log/slog"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// remotePeer is a connection to another router as a pair of channels. What is
// sent to one that takes nothing waits, until the peer is closed; its channel
// is never closed, so that whoever sends late is not harmed.
type remotePeer struct {
	link   dial.Link
	format codec.Format
	log    *slog.Logger
	to     chan wamp.Message
	from   chan wamp.Message // closed when the connection is over
	over   chan struct{}
	once   sync.Once
	parts  sync.WaitGroup
}

// newRemotePeer takes the connection over.
func newRemotePeer(l dial.Link, format codec.Format, log *slog.Logger) *remotePeer {
	p := &remotePeer{link: l, format: format, log: log, to: make(chan wamp.Message), from: make(chan wamp.Message), over: make(chan struct{})}
	p.parts.Go(p.read)
	p.parts.Go(p.write)
	return p
}

// close ends the connection, whatever it is waiting for.
func (p *remotePeer) close() {
	p.end()
	p.parts.Wait()
}

func (p *remotePeer) end() {
	p.once.Do(func() {
		close(p.over)
		p.link.Close()
	})
}

func (p *remotePeer) read() {
	defer close(p.from)
	defer p.end()
	for {
		b, err := p.link.Read()
		if err != nil {
			return
		}
		m, err := p.format.Decode(b)
		if err != nil {
			p.log.Warn("another router sent what is no message", "error", err)
			return
		}
		select {
		case p.from <- m:
		case <-p.over:
			return
		}
	}
}

func (p *remotePeer) write() {
	defer p.end()
	pings := time.NewTicker(linkKeepAlive)
	defer pings.Stop()
	for {
		var err error
		select {
		case m := <-p.to:
			err = p.send(m)
		case <-pings.C:
			err = p.link.Ping()
		case <-p.over:
			return
		}
		if err != nil {
			return
		}
	}
}

// yield is a YIELD that knows what it answers.
type yield struct {
	wamp.Yield
	procedure string
}

// send writes a message. An answer that can't be sent is one that says so.
func (p *remotePeer) send(m wamp.Message) error {
	answer, answers := m.(*yield)
	if answers {
		m = &answer.Yield
	}
	b, err := p.format.Append(nil, m)
	if size := len(b); err == nil && size > p.link.Limit() {
		err = &event.TooLargeError{Bound: "router's message", Limit: uint64(p.link.Limit()), Actual: uint64(size)}
	}
	if err == nil {
		return p.link.Write(b)
	}
	p.log.Warn("a message can't be sent to another router", "message", m.MessageType().String(), "error", err)
	if !answers {
		return nil
	}
	return p.send(refusal(wamp.INVOCATION, answer.Request, untold(answer.procedure, err)))
}
