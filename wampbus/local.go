package wampbus

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// endpoint is one of the bus's own sessions with a router, its own or another.
// Its receive handler must not wait: then the channel from the router stays
// nearly empty. An invocation that finds it full all the same is answered by
// the router with wamp.error.network_failure; it is not lost.
type endpoint struct {
	to      chan<- wamp.Message
	from    <-chan wamp.Message
	done    chan struct{}
	once    sync.Once
	receive func(wamp.Message)
	pumping sync.WaitGroup

	asking  sync.Mutex // held during a request
	request wamp.ID

	mu      sync.Mutex
	awaited wamp.ID           // the request that is being answered, 0 for HELLO
	reply   chan wamp.Message // where its answer goes, nil when none is awaited
}

func newEndpoint(to chan<- wamp.Message, from <-chan wamp.Message, receive func(wamp.Message)) *endpoint {
	e := &endpoint{to: to, from: from, done: make(chan struct{}), receive: receive}
	e.pumping.Go(e.pump)
	return e
}

// Close ends the session on this side. It may be called more than once.
func (e *endpoint) Close() { e.once.Do(func() { close(e.done) }) }

func (e *endpoint) pump() {
	defer e.Close()
	for {
		select {
		case m, ok := <-e.from:
			if !ok {
				return
			}
			switch m.(type) {
			case *wamp.Invocation, *wamp.Interrupt:
				e.receive(m)
			case *wamp.Goodbye: // the router is closing
				return
			default:
				e.answered(m)
			}
		case <-e.done:
			return
		}
	}
}

// await says that the answer to a request is going to be received from the
// channel, and that of any other to be dropped.
func (e *endpoint) await(request wamp.ID) <-chan wamp.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.awaited, e.reply = request, make(chan wamp.Message, 1)
	return e.reply
}

// answered hands on what came, unless it comes too late: then its request has
// been given up, and it answers no other.
func (e *endpoint) answered(m wamp.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reply != nil && answeredRequest(m) == e.awaited {
		e.reply <- m
		e.reply = nil
	}
}

// answeredRequest is the id of the request that a message answers, 0 for HELLO's.
func answeredRequest(m wamp.Message) wamp.ID {
	switch m := m.(type) {
	case *wamp.Registered:
		return m.Request
	case *wamp.Unregistered:
		return m.Request
	case *wamp.Error:
		return m.Request
	}
	return 0
}

// send passes a message to the router; it is dropped when the router is gone.
func (e *endpoint) send(m wamp.Message) {
	select {
	case e.to <- m:
	case <-e.done:
	}
}

// errNoAnswer says that a router has not answered in answerTime.
var errNoAnswer = errors.New("the router did not answer")

const answerTime = 10 * time.Second

// ask sends a request and returns its answer. The caller holds asking.
func (e *endpoint) ask(request wamp.ID, m wamp.Message) (wamp.Message, error) {
	answer := e.await(request)
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case e.to <- m:
	case <-e.done:
	case <-timer.C:
		return nil, errNoAnswer
	}
	select {
	case reply := <-answer:
		return reply, nil
	case <-e.done:
		return nil, errors.New("the router closed the session")
	case <-timer.C:
		return nil, errNoAnswer
	}
}

// nextRequest numbers requests. The caller holds asking.
func (e *endpoint) nextRequest() wamp.ID {
	e.request++
	return e.request
}

// register registers a procedure, or all that start with it when match says so.
func (e *endpoint) register(procedure, match string) (wamp.ID, error) {
	e.asking.Lock()
	defer e.asking.Unlock()
	options := wamp.Dict{}
	if match != "" {
		options[wamp.OptMatch] = match
	}
	request := e.nextRequest()
	reply, err := e.ask(request, &wamp.Register{Request: request, Options: options, Procedure: wamp.URI(procedure)})
	if err != nil {
		return 0, fmt.Errorf("register %s: %w", procedure, err)
	}
	switch reply := reply.(type) {
	case *wamp.Registered:
		return reply.Registration, nil
	case *wamp.Error:
		return 0, fmt.Errorf("register %s: the router answered %s %v", procedure, reply.Error, reply.Arguments)
	default:
		return 0, fmt.Errorf("register %s: the router answered %s", procedure, reply.MessageType())
	}
}

func (e *endpoint) unregister(id wamp.ID) error {
	e.asking.Lock()
	defer e.asking.Unlock()
	request := e.nextRequest()
	reply, err := e.ask(request, &wamp.Unregister{Request: request, Registration: id})
	if err != nil {
		return fmt.Errorf("unregister: %w", err)
	}
	if _, ok := reply.(*wamp.Unregistered); !ok {
		return fmt.Errorf("the router answered %s", reply.MessageType())
	}
	return nil
}

// localPeer is the bus's session with its own router, in process.
type localPeer struct {
	*endpoint
	in  chan wamp.Message // to the router
	out chan wamp.Message // from the router
}

func newLocalPeer() *localPeer {
	p := &localPeer{in: make(chan wamp.Message, 1), out: make(chan wamp.Message, routerQueue)}
	p.endpoint = newEndpoint(p.in, p.out, func(wamp.Message) {}) // no calls come this way
	return p
}

func (p *localPeer) IsLocal() bool             { return true }
func (p *localPeer) Recv() <-chan wamp.Message { return p.in }
func (p *localPeer) Send() chan<- wamp.Message { return p.out }

// serverRoles are what the bus's own sessions are in a realm.
var serverRoles = wamp.Dict{
	wamp.RolePublisher: wamp.Dict{},
	wamp.RoleCallee: wamp.Dict{"features": wamp.Dict{
		wamp.FeatureCallCanceling: true, wamp.FeaturePatternBasedReg: true, wamp.FeatureCallerIdent: true,
	}},
}

// join attaches the peer to the bus's realm.
func (p *localPeer) join(b *Bus) error {
	answer := p.await(0)
	p.send(&wamp.Hello{Realm: wamp.URI(b.options.Realm), Details: wamp.Dict{
		"authmethods": wamp.List{serverMethod},
		"authextra":   wamp.Dict{"secret": b.secret},
		"roles":       serverRoles,
	}})
	if err := b.router.AttachClient(p, transportDetails("local", "", p)); err != nil {
		return err
	}
	welcome := <-answer
	if _, ok := welcome.(*wamp.Welcome); !ok {
		return fmt.Errorf("the router answered HELLO with %s", welcome.MessageType())
	}
	return nil
}
