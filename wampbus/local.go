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
	replies chan wamp.Message
	pumping sync.WaitGroup

	asking  sync.Mutex // held during a request
	request wamp.ID
}

func newEndpoint(to chan<- wamp.Message, from <-chan wamp.Message, receive func(wamp.Message)) *endpoint {
	e := &endpoint{to: to, from: from, done: make(chan struct{}), receive: receive, replies: make(chan wamp.Message, 1)}
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
				select {
				case e.replies <- m:
				default: // nobody asked
				}
			}
		case <-e.done:
			return
		}
	}
}

// send passes a message to the router; it is dropped when the router is gone.
func (e *endpoint) send(m wamp.Message) {
	select {
	case e.to <- m:
	case <-e.done:
	}
}

// ask sends a message and returns its answer.
func (e *endpoint) ask(m wamp.Message) (wamp.Message, error) {
	e.send(m)
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case reply := <-e.replies:
		return reply, nil
	case <-e.done:
		return nil, errors.New("the router closed the session")
	case <-timer.C:
		return nil, fmt.Errorf("the router did not answer %s", m.MessageType())
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
	reply, err := e.ask(&wamp.Register{Request: e.nextRequest(), Options: options, Procedure: wamp.URI(procedure)})
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
	reply, err := e.ask(&wamp.Unregister{Request: e.nextRequest(), Registration: id})
	if err != nil {
		return err
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

func newLocalPeer(receive func(wamp.Message)) *localPeer {
	p := &localPeer{in: make(chan wamp.Message, 1), out: make(chan wamp.Message, 4096)}
	p.endpoint = newEndpoint(p.in, p.out, receive)
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
	p.send(&wamp.Hello{Realm: wamp.URI(b.options.Realm), Details: wamp.Dict{
		"authmethods": wamp.List{serverMethod},
		"authextra":   wamp.Dict{"secret": b.secret},
		"roles":       serverRoles,
	}})
	if err := b.router.AttachClient(p, transportDetails("local", "", p)); err != nil {
		return err
	}
	welcome := <-p.replies
	if _, ok := welcome.(*wamp.Welcome); !ok {
		return fmt.Errorf("the router answered HELLO with %s", welcome.MessageType())
	}
	return nil
}
