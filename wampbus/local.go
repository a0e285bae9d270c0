package wampbus

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// localPeer is one of the bus's own sessions, in process. Its receive handler
// must not wait: then the router's channel stays nearly empty. An invocation
// that finds it full all the same is answered by the router with
// wamp.error.network_failure; it is not lost.
type localPeer struct {
	in      chan wamp.Message // to the router
	out     chan wamp.Message // from the router
	done    chan struct{}
	once    sync.Once
	receive func(wamp.Message)
	replies chan wamp.Message
	pumping sync.WaitGroup
}

func newLocalPeer(receive func(wamp.Message)) *localPeer {
	p := &localPeer{
		in: make(chan wamp.Message, 1), out: make(chan wamp.Message, 4096),
		done: make(chan struct{}), receive: receive, replies: make(chan wamp.Message, 1),
	}
	p.pumping.Go(p.pump)
	return p
}

func (p *localPeer) IsLocal() bool             { return true }
func (p *localPeer) Recv() <-chan wamp.Message { return p.in }
func (p *localPeer) Send() chan<- wamp.Message { return p.out }
func (p *localPeer) Close()                    { p.once.Do(func() { close(p.done) }) }

func (p *localPeer) pump() {
	for {
		select {
		case m := <-p.out:
			switch m.(type) {
			case *wamp.Invocation, *wamp.Interrupt:
				p.receive(m)
			case *wamp.Goodbye: // the router is closing
			default:
				select {
				case p.replies <- m:
				default: // nobody asked
				}
			}
		case <-p.done:
			return
		}
	}
}

// send passes a message to the router; it is dropped when the router is gone.
func (p *localPeer) send(m wamp.Message) {
	select {
	case p.in <- m:
	case <-p.done:
	}
}

// request sends a message and returns its answer. Requests are made one at a
// time, while the bus starts.
func (p *localPeer) request(m wamp.Message) (wamp.Message, error) {
	p.send(m)
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case reply := <-p.replies:
		return reply, nil
	case <-p.done:
		return nil, errors.New("the router closed the session")
	case <-timer.C:
		return nil, fmt.Errorf("the router did not answer %s", m.MessageType())
	}
}

// join attaches the peer to the bus's realm.
func (p *localPeer) join(b *Bus) error {
	p.send(&wamp.Hello{Realm: wamp.URI(b.options.Realm), Details: wamp.Dict{
		"authmethods": wamp.List{serverMethod},
		"authextra":   wamp.Dict{"secret": b.secret},
		"roles": wamp.Dict{
			wamp.RolePublisher: wamp.Dict{},
			wamp.RoleCallee:    wamp.Dict{"features": wamp.Dict{wamp.FeatureCallCanceling: true, wamp.FeaturePatternBasedReg: true}},
		},
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

// register registers a procedure, for all that start with it when it ends in '.'.
func (p *localPeer) register(id wamp.ID, procedure string) error {
	options := wamp.Dict{}
	if procedure[len(procedure)-1] == '.' {
		options[wamp.OptMatch] = wamp.MatchPrefix
	}
	reply, err := p.request(&wamp.Register{Request: id, Options: options, Procedure: wamp.URI(procedure)})
	if err != nil {
		return fmt.Errorf("register %s: %w", procedure, err)
	}
	if _, ok := reply.(*wamp.Registered); !ok {
		return fmt.Errorf("register %s: the router answered %s", procedure, reply.MessageType())
	}
	return nil
}
