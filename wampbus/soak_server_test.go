package wampbus_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
)

// The test binary is a server when this variable names a directory and two
// addresses, of WebSocket and RawSocket: so there is a process to kill, whose heap holds nothing of the
// clients'.
const soakVariable = "WAMPBUS_TEST_SERVE"

// soakShutdown is the server's Limits.Shutdown, and soakClose how long it may take
// to close: sessions that do not read have that time, and a second for theirs to
// be read.
const (
	soakShutdown = 5 * time.Second
	soakClose    = soakShutdown + time.Second
)

// vitals are what a server says of itself, after a collection of garbage.
type vitals struct {
	Heap       uint64
	Goroutines int
	Sessions   int
	Calls      int
	Ended      uint64
	Head       uint64
}

// serveSoak serves until its input ends. Each line of that asks for vitals.
func serveSoak(place string) error {
	dir, address, _ := splitPlace(place)
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: account.Schema, MapSize: 4 << 30, Logger: quiet})
	if err != nil {
		return err
	}
	bus, err := wampbus.New(wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer, Logger: quiet,
		Limits: wampbus.Limits{Queue: 4 << 20, Message: 1 << 20, KeepAlive: 2 * time.Second, Handshake: 2 * time.Second, Write: 2 * time.Second, Shutdown: soakShutdown},
	})
	if err != nil {
		return err
	}
	webSocket, rawSocket, _ := strings.Cut(address, ",")
	over := make(chan error, 2)
	for address, serve := range map[string]func(context.Context, net.Listener) error{webSocket: bus.ServeWebSocket, rawSocket: bus.ServeRawSocket} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { over <- serve(context.Background(), listener) }()
	}
	fmt.Println("{}")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := json.NewEncoder(os.Stdout).Encode(vitalsOf(bus, store)); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := bus.Close(); err != nil {
		return err
	}
	if took := time.Since(began); took > soakClose {
		return fmt.Errorf("closing took %v, and may take %v", took, soakClose)
	}
	return errors.Join(<-over, <-over, store.Close())
}

func vitalsOf(bus *wampbus.Bus, store *eventstore.Store) vitals {
	runtime.GC()
	runtime.GC() // what finalizers and pools let go
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	stats := bus.Stats()
	v := vitals{Heap: memory.HeapAlloc, Goroutines: runtime.NumGoroutine(), Sessions: stats.Sessions, Calls: stats.CallsInFlight, Ended: stats.Ended}
	if head, err := store.Head(context.Background()); err == nil {
		v.Head = head.Position
	}
	return v
}

func splitPlace(place string) (dir, address string, ok bool) {
	dir, address = filepath.Split(place)
	return dir, address, dir != "" && address != ""
}

// soaked is a server in a process of its own, always at the same addresses.
type soaked struct {
	t       *testing.T
	dir     string
	address string // of WebSocket
	raw     string // of RawSocket
	kills   int
	slowest time.Duration // of the orderly ends among them

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func startSoaked(t *testing.T) *soaked {
	t.Helper()
	s := &soaked{t: t, dir: t.TempDir()}
	var held []net.Listener
	for _, address := range []*string{&s.address, &s.raw} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*address = listener.Addr().String()
		held = append(held, listener)
	}
	for _, listener := range held { // now that they differ
		_ = listener.Close()
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *soaked) url() string { return "ws://" + s.address + "/" }

func (s *soaked) start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = exec.Command(os.Args[0], "-test.run=^$")
	s.cmd.Env = append(os.Environ(), soakVariable+"="+s.dir+string(filepath.Separator)+s.address+","+s.raw)
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.in, s.out = in, json.NewDecoder(out)
	if err := s.out.Decode(new(vitals)); err != nil {
		s.t.Fatalf("the server did not start: %v", err)
	}
}

// vitals asks the server.
func (s *soaked) vitals() (v vitals) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in); err != nil {
		s.t.Fatal(err)
	}
	if err := s.out.Decode(&v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// kill ends the process without a word.
func (s *soaked) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// stop ends it in good order.
func (s *soaked) stop() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	_ = s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
	s.slowest = max(s.slowest, time.Since(began))
	s.cmd = nil
}
