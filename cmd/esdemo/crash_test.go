package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// The test binary serves when it is asked to, so that a process can be killed.
const serveVariable = "ESDEMO_TEST_SERVE"

func init() {
	if dir := os.Getenv(serveVariable); dir != "" {
		os.Args = []string{"esdemo", "serve", "--data", dir, "--ws", "127.0.0.1:0", "--http", "127.0.0.1:0"}
		main()
		os.Exit(0)
	}
}

// acknowledged is a command that a client was told is stored.
type acknowledged struct {
	id      string
	key     string
	data    []byte
	receipt aggregate.Receipt
}

// A server is killed in the middle of a load, again and again. Every command
// that was acknowledged is there afterwards, under the same receipt, and the
// views equal a fold of the log.
func TestKillLosesNothing(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	dir := filepath.Join(t.TempDir(), "data")
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	var all []acknowledged
	for round := range rounds {
		s := startServer(t, dir)
		checkAcknowledged(t, s, all)
		acked := s.killDuringLoad(t, round, 20+rng.IntN(150))
		if len(acked) == 0 {
			t.Fatal("the server was killed before it acknowledged anything")
		}
		all = append(all, acked...)
	}
	s := startServer(t, dir)
	checkAcknowledged(t, s, all)
	checkViews(t, s)
	s.interrupt(t)
	t.Logf("%d acknowledged commands survived %d kills", len(all), rounds)
}

// A server that is asked to end in the middle of a load publishes what it has
// acknowledged before it lets its subscribers go.
func TestTerminationLosesNoLiveEvent(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"))
	c, err := client.Dial(t.Context(), s.url, client.Options{Unverified: true, NoReconnect: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last := uint64(0)
	live, err := c.SubscribeTopic(t.Context(), "es.event.", client.Prefix, func(m client.Live) { last = m.Position })
	if err != nil {
		t.Fatal(err)
	}
	acked := s.endDuringLoad(t, 0, 200, func() { _ = s.cmd.Process.Signal(syscall.SIGTERM) })
	<-live.Done()
	highest := uint64(0)
	for _, a := range acked {
		highest = max(highest, a.receipt.Position)
	}
	if last < highest {
		t.Errorf("position %d was acknowledged, the last one received live is %d", highest, last)
	}
	s.awaitCleanEnd(t)
}

// served is a server in a process of its own.
type served struct {
	cmd    *exec.Cmd
	url    string
	stderr *strings.Builder
	ended  chan struct{} // stderr was read to its end
}

func startServer(t *testing.T, dir string) *served {
	t.Helper()
	s := &served{cmd: exec.CommandContext(t.Context(), os.Args[0]), stderr: new(strings.Builder), ended: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), serveVariable+"="+dir)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		s.stderr.WriteString(line)
		if err != nil {
			t.Fatalf("the server ended before it listened: %v\n%s", err, s.stderr)
		}
		if found := regexp.MustCompile(`ws://\S+`).FindString(line); found != "" {
			s.url = found
			break
		}
	}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(s.stderr, lines)
	}()
	return s
}

func (s *served) kill() {
	_ = s.cmd.Process.Kill() // may have ended
	if s.url != "" {
		<-s.ended
	}
	_ = s.cmd.Wait()
}

// interrupt ends the server as an operator would, and wants a clean end.
func (s *served) interrupt(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.awaitCleanEnd(t)
}

func (s *served) awaitCleanEnd(t *testing.T) {
	t.Helper()
	<-s.ended
	if err := s.cmd.Wait(); err != nil || !strings.Contains(s.stderr.String(), "closed cleanly") {
		t.Errorf("the server ended with %v:\n%s", err, s.stderr)
	}
}

// killDuringLoad kills the server in the middle of a load.
func (s *served) killDuringLoad(t *testing.T, round, after int) []acknowledged {
	acked := s.endDuringLoad(t, round, after, func() { _ = s.cmd.Process.Kill() })
	s.kill()
	return acked
}

// endDuringLoad lets clients credit accounts, and calls end when some number of
// commands was acknowledged and others are in flight.
func (s *served) endDuringLoad(t *testing.T, round, after int, end func()) []acknowledged {
	var mu sync.Mutex
	var acked []acknowledged
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for a := range credit(t.Context(), s.url, fmt.Sprintf("%d-%d", round, i)) {
				mu.Lock()
				acked = append(acked, a)
				enough := len(acked) == after
				mu.Unlock()
				if enough {
					end()
				}
			}
		})
	}
	clients.Wait()
	return acked
}

// credit opens an account and pays into it, yielding what is acknowledged,
// until the connection breaks.
func credit(ctx context.Context, url, id string) func(yield func(acknowledged) bool) {
	return func(yield func(acknowledged) bool) {
		c, err := client.Dial(ctx, url, client.Options{Unverified: true, NoReconnect: true})
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := c.Command(ctx, "account", id, "open", account.NewOpen("ada"), client.CommandOptions{}); err != nil {
			return
		}
		data := account.NewCredit(account.CreditFields{Amount: 3})
		for n := 0; ; n++ {
			a := acknowledged{id: id, key: fmt.Sprintf("%s:%d", id, n), data: data}
			if a.receipt, err = c.Command(ctx, "account", id, "credit", data, client.CommandOptions{Key: a.key}); err != nil || !yield(a) {
				return
			}
		}
	}
}

func checkAcknowledged(t *testing.T, s *served, all []acknowledged) {
	t.Helper()
	c, err := client.Dial(t.Context(), s.url, client.Options{Unverified: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stored := map[uint64]event.Event{}
	last := uint64(0)
	for e, err := range event.Read(t.Context(), c, event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position() != last+1 {
			t.Fatalf("position %d follows %d", e.Position(), last)
		}
		last, stored[e.Position()] = e.Position(), e
	}
	for i, a := range all {
		e, ok := stored[a.receipt.Position]
		if !ok || e.StreamID() != a.id || e.Version() != a.receipt.Version || e.BatchKey() != a.key {
			t.Fatalf("%+v was acknowledged, position %d holds %v", a, a.receipt.Position, e)
		}
		if i%25 != 0 {
			continue
		}
		again, err := c.Command(t.Context(), "account", a.id, "credit", a.data, client.CommandOptions{Key: a.key})
		if err != nil || !again.Repeated || again.Position != a.receipt.Position {
			t.Fatalf("%+v was acknowledged, repeating it answered %+v, %v", a, again, err)
		}
	}
}

// checkViews compares every order of the view, over the bus, with a fold.
func checkViews(t *testing.T, s *served) {
	t.Helper()
	d := &demo{url: s.url, log: slog.New(slog.DiscardHandler)}
	folded, err := d.replay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), s.url, client.Options{Unverified: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.Events = head.Position
	if err := d.compareOrders(t.Context(), c, folded); err != nil {
		t.Fatal(err)
	}
	for _, disagreement := range d.disagreements {
		t.Error(disagreement)
	}
}

func TestBadDirectoriesNameTheFlag(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := t.TempDir()
	s, err := openServer(taken, doors{WS: "127.0.0.1:0", HTTP: "127.0.0.1:0"}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, tc := range map[string]struct{ dir, ws, http, want string }{
		"not a store":      {foreign, "127.0.0.1:0", "127.0.0.1:0", "--data"},
		"taken":            {taken, "127.0.0.1:0", "127.0.0.1:0", "--data"},
		"busy port":        {t.TempDir(), s.ws.Addr().String(), "127.0.0.1:0", "--ws"},
		"busy metric port": {t.TempDir(), "127.0.0.1:0", s.http.Addr().String(), "--http"},
		"no port at all":   {t.TempDir(), "nowhere", "127.0.0.1:0", "--ws"},
	} {
		other, err := openServer(tc.dir, doors{WS: tc.ws, HTTP: tc.http}, log)
		if err == nil {
			err = errors.Join(errors.New("it opened"), other.Close())
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, which does not name %s", name, err, tc.want)
		}
	}
}
