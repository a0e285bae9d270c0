package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// calls is how many pages a client asks for at the same time.
const calls = 4

// replaySystems with what consumes from each; the limit last.
var replaySystems = []struct{ name, server, consumer string }{
	{"Verbatim, records counted", "verbatim", "pages"},
	{"Verbatim, Go client, every record verified, one call at a time", "verbatim", "client"},
	{"JetStream, push consumer without acknowledgements", "jetstream", "jetstream"},
	{"TCP, the same bytes", "tcp", "tcp"},
}

func runReplay(args []string) error {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	events := flags.Int("events", 1_000_000, "events to replay")
	size := flags.Int("size", 256, "bytes of an event's payload")
	runs := flags.Int("runs", 5, "runs of each row")
	dir := flags.String("dir", os.TempDir(), "where the logs are put")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dirs := map[string]string{"tcp": ""}
	for name, fill := range map[string]func(string, int, int) error{"verbatim": fillVerbatim, "jetstream": fillJetStream} {
		d, err := os.MkdirTemp(*dir, name+"-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(d)
		if err := fill(d, *events, *size); err != nil {
			return fmt.Errorf("fill %s: %w", name, err)
		}
		dirs[name] = d
	}
	rates := make([][]float64, len(replaySystems))
	for range *runs {
		for i, s := range replaySystems {
			rate, err := replay(s.server, s.consumer, dirs[s.server], *events, *size)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			fmt.Fprintf(os.Stderr, "%s: %.0f events/s\n", s.name, rate)
			rates[i] = append(rates[i], rate)
		}
	}
	fmt.Printf("replay of %d events of %d B, %d runs; medians\n\n| | events/s | of JetStream | of TCP |\n|---|---|---|---|\n", *events, *size, *runs)
	for i, s := range replaySystems {
		fmt.Printf("| %s | %.0f | %s | %s |\n", s.name, median(rates[i]), ratio(rates[i], rates[2]), ratio(rates[i], rates[3]))
	}
	return nil
}

func fillVerbatim(dir string, events, size int) error {
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: ledger.Schema})
	if err != nil {
		return err
	}
	p := ledger.NewPosted("account", ledger.PostedFields{Payload: make([]byte, size)})
	for done := 0; done < events; {
		batch := make([]event.Proposed, min(1000, events-done, max(1, 8<<20/size)))
		for i := range batch {
			batch[i] = p
		}
		if _, err := store.Append(context.Background(), event.Append{Stream: "ledger-" + strconv.Itoa(done%10_000), Events: batch}); err != nil {
			return errors.Join(err, store.Close())
		}
		done += len(batch)
	}
	return store.Close()
}

func openJetStream(dir string, l net.Listener) (*server.Server, *nats.Conn, error) {
	o := &server.Options{DontListen: l == nil, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true}
	if l != nil {
		address := l.Addr().(*net.TCPAddr)
		o.Host, o.Port = address.IP.String(), address.Port
		if err := l.Close(); err != nil {
			return nil, nil, err
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, nil, errors.New("NATS does not get ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	return s, conn, err
}

func fillJetStream(dir string, events, size int) error {
	s, conn, err := openJetStream(dir, nil)
	if err != nil {
		return err
	}
	defer s.WaitForShutdown()
	defer s.Shutdown()
	defer conn.Close()
	js, err := conn.JetStream(nats.PublishAsyncMaxPending(4096))
	if err != nil {
		return err
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "events", Subjects: []string{topic}, Storage: nats.FileStorage}); err != nil {
		return err
	}
	payload := make([]byte, size+recordRoom)
	for range events {
		if _, err := js.PublishAsync(topic, payload, nats.StallWait(time.Minute)); err != nil {
			return err
		}
	}
	<-js.PublishAsyncComplete()
	return nil
}

// recordRoom is about what a record has around its payload.
const recordRoom = 200

// replay returns events a second.
func replay(serverKind, consumer, dir string, events, size int) (float64, error) {
	s, err := start("serve-log", serverKind, dir, events, size)
	if err != nil {
		return 0, err
	}
	address, err := s.line()
	if err != nil {
		return 0, err
	}
	c, err := start("consume", consumer, address, events, size)
	if err != nil {
		return 0, err
	}
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	nanoseconds, err := strconv.ParseFloat(line, 64)
	if err != nil {
		return 0, err
	}
	return float64(events) / nanoseconds * 1e9, errors.Join(c.stop(), s.stop())
}

// serveLog is the process with a log: "serve-log SYSTEM DIR EVENTS SIZE". It
// ends with its standard input.
func serveLog(args []string) error {
	dir := args[1]
	events, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	switch args[0] {
	case "verbatim":
		store, err := eventstore.Open(dir, eventstore.Options{Schemas: ledger.Schema})
		if err != nil {
			return err
		}
		defer store.Close()
		bus, err := wampbus.New(wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Reader})
		if err != nil {
			return err
		}
		defer bus.Close()
		go func() { _ = bus.ServeWebSocket(context.Background(), l) }()
	case "jetstream":
		s, _, err := openJetStream(dir, l)
		if err != nil {
			return err
		}
		defer s.Shutdown()
	case "tcp":
		go func() {
			conn, err := l.Accept()
			chunk := make([]byte, 1<<20)
			for left := events * (size + recordRoom); err == nil && left > 0; left -= len(chunk) {
				_, err = conn.Write(chunk[:min(left, len(chunk))])
			}
		}()
	}
	announce(l)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// consume is the process that reads a log: "consume KIND ADDRESS EVENTS SIZE".
// It says how many nanoseconds that took.
func consume(args []string) error {
	events, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	took, err := consumers[args[0]](args[1], events, size)
	if err != nil {
		return err
	}
	fmt.Println(took.Nanoseconds())
	return nil
}

var consumers = map[string]func(address string, events, size int) (time.Duration, error){
	"pages": consumePages, "client": consumeClient, "jetstream": consumeJetStream, "tcp": consumeTCP,
}

// stretch is a part of the log that one call after the other asks for.
type stretch struct{ after, left int }

// consumePages keeps some calls in flight, and walks over the records. The log
// is cut into stretches of a page each; where an answer ends earlier, the rest of
// its stretch is asked for.
func consumePages(address string, events, size int) (time.Duration, error) {
	s, err := join(address)
	if err != nil {
		return 0, err
	}
	defer s.conn.Close()
	limit := max(1, (1<<20)/(size+recordRoom+200))
	began := time.Now()
	asked, request := 0, uint64(0)
	inFlight := make(map[uint64]stretch)
	ask := func(of stretch) error {
		if of.left == 0 {
			of = stretch{asked, min(limit, events-asked)}
			asked += of.left
		}
		if of.left == 0 {
			return nil
		}
		request++
		inFlight[request] = of
		return s.send(&wamp.Call{Request: wamp.ID(request), Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": of.after, "limit": of.left, "max_bytes": 1 << 20}})
	}
	for range calls {
		if err := ask(stretch{}); err != nil {
			return 0, err
		}
	}
	for len(inFlight) > 0 {
		answers, page, err := s.page()
		if err != nil {
			return 0, err
		}
		of := inFlight[answers]
		delete(inFlight, answers)
		n := records(page)
		if n == 0 || n > of.left {
			return 0, fmt.Errorf("a page has %d records of the %d behind %d", n, of.left, of.after)
		}
		if err := ask(stretch{of.after + n, of.left - n}); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// records counts size-prefixed records.
func records(page []byte) (n int) {
	for len(page) > 4 {
		page = page[4+binary.LittleEndian.Uint32(page):]
		n++
	}
	return n
}

func consumeClient(address string, events, _ int) (time.Duration, error) {
	set, err := schema.Load(ledger.Schema)
	if err != nil {
		return 0, err
	}
	c, err := client.Dial(timeout(), "ws://"+address+"/", client.Options{Schemas: set})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	began := time.Now()
	n := 0
	for _, err := range event.Read(timeout(), c, event.Selection{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	if n != events {
		return 0, fmt.Errorf("%d events instead of %d", n, events)
	}
	return time.Since(began), nil
}

func consumeJetStream(address string, events, _ int) (time.Duration, error) {
	conn, err := nats.Connect("nats://" + address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	n := 0
	began := time.Now()
	if _, err := js.Subscribe(topic, func(*nats.Msg) {
		if n++; n == events {
			close(done)
		}
	}, nats.OrderedConsumer()); err != nil {
		return 0, err
	}
	select {
	case <-done:
	case <-timeout().Done():
		return 0, errors.New("not everything arrived within a minute")
	}
	return time.Since(began), nil
}

func consumeTCP(address string, events, size int) (time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	buffer := make([]byte, 256<<10)
	for left := events * (size + recordRoom); left > 0; {
		n, err := conn.Read(buffer)
		if err != nil {
			return 0, err
		}
		left -= n
	}
	return time.Since(began), nil
}
