package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus"
)

// publisher publishes one event.
type publisher func() error

// serve is the process with the server: "serve SYSTEM SIZE SECONDS SUBSCRIBERS".
// It says where it listens, publishes when it is told to, and then what and how
// long until all had arrived.
func serve(args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(args[2], 64)
	if err != nil {
		return err
	}
	subscribers, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	publish, err := servers[args[0]](listener, size, subscribers)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	in.Scan() // "go"
	var arrived atomic.Uint64
	news := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in.Scan() {
			n, err := strconv.ParseUint(in.Text(), 10, 64)
			if err != nil {
				return
			}
			arrived.Store(n)
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	published := uint64(0)
	for end := began.Add(time.Duration(seconds * float64(time.Second))); time.Now().Before(end); published++ {
		for published-arrived.Load() >= window {
			<-news
		}
		if err := publish(); err != nil {
			return err
		}
	}
	for arrived.Load() < published {
		select {
		case <-news:
		case <-time.After(10 * time.Second):
			return fmt.Errorf("%d events published, %d arrived at all subscribers", published, arrived.Load())
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	fmt.Println(published, took.Nanoseconds(), after.Mallocs-before.Mallocs)
	<-ended
	return nil
}

// servers listen, say where, and return what publishes.
var servers = map[string]func(l net.Listener, size, subscribers int) (publisher, error){
	"verbatim": serveVerbatim, "nexus": serveNexus, "tcp": serveTCP, "nats": serveNATS,
}

func announce(l net.Listener) { fmt.Println(l.Addr()) }

// serveVerbatim commits copies of one record, each with its place and checksum:
// the others, too, publish what was built before.
func serveVerbatim(l net.Listener, size, _ int) (publisher, error) {
	set, err := schema.Load(ledger.Schema)
	if err != nil {
		return nil, err
	}
	log := newRing()
	bus, err := wampbus.New(wampbus.Options{Log: log, Schemas: set, Anonymous: wampbus.Reader})
	if err != nil {
		return nil, err
	}
	go func() { _ = bus.ServeWebSocket(context.Background(), l) }()
	announce(l)
	record, err := posted(size)
	if err != nil {
		return nil, err
	}
	return func() error {
		log.enter(bytes.Clone(record))
		return nil
	}, nil
}

// posted is the record of an event with a payload of that size.
func posted(size int) ([]byte, error) {
	return event.BuildRecord(&event.Append{Stream: "ledger-1", Events: []event.Proposed{ledger.NewPosted("account", ledger.PostedFields{Payload: make([]byte, size)})}}, 0, 1, nil)
}

// serveNexus publishes through a client in the same process, as Verbatim's bus
// does.
func serveNexus(l net.Listener, size, _ int) (publisher, error) {
	r, err := router.NewRouter(&router.Config{RealmConfigs: []*router.RealmConfig{{URI: realm, AnonymousAuth: true}}}, quiet{})
	if err != nil {
		return nil, err
	}
	ws := router.NewWebsocketServer(r)
	ws.OutQueueSize = 2 * window
	go func() { _ = http.Serve(l, ws) }()
	c, err := client.ConnectLocal(r, client.Config{Realm: realm, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	announce(l)
	record, err := posted(size)
	if err != nil {
		return nil, err
	}
	position := int64(0)
	return func() error {
		position++
		return c.Publish(topic, nil, wamp.List{record}, wamp.Dict{"position": position, "previous": position - 1})
	}, nil
}

type quiet struct{}

func (quiet) Print(...any)          {}
func (quiet) Println(...any)        {}
func (quiet) Printf(string, ...any) {}

// frameSize is about what an event of that size has on the wire.
func frameSize(size int) int { return size + 250 }

func serveTCP(l net.Listener, size, subscribers int) (publisher, error) {
	announce(l)
	conns := make([]net.Conn, subscribers)
	for i := range conns {
		var err error
		if conns[i], err = l.Accept(); err != nil {
			return nil, err
		}
	}
	queues := make([]chan []byte, subscribers)
	for i := range queues {
		queues[i] = make(chan []byte, window)
		go writeTCP(conns[i], queues[i])
	}
	frame := make([]byte, frameSize(size))
	return func() error {
		for _, q := range queues {
			q <- frame
		}
		return nil
	}, nil
}

// writeTCP writes what waits with as few calls as possible.
func writeTCP(conn net.Conn, frames <-chan []byte) {
	for frame := range frames {
		batch := net.Buffers{frame}
		for more := true; more && len(batch) < 64; {
			select {
			case frame := <-frames:
				batch = append(batch, frame)
			default:
				more = false
			}
		}
		if _, err := batch.WriteTo(conn); err != nil {
			return
		}
	}
}

func serveNATS(l net.Listener, size, _ int) (publisher, error) {
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{Host: address.IP.String(), Port: address.Port, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("NATS does not get ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, err
	}
	fmt.Println(address)
	payload := make([]byte, size+200) // a record of that size
	return func() error { return conn.Publish(topic, payload) }, nil
}
