package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus"
)

// runIdle is the server of many sessions that do nothing but be subscribed. The
// sessions are in a process of their own.
func runIdle(args []string) error {
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	sessions := flags.Int("sessions", 10_000, "sessions, each with one subscription")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := allowFiles(*sessions); err != nil {
		return err
	}
	set, err := schema.Load(ledger.Schema)
	if err != nil {
		return err
	}
	bus, err := wampbus.New(wampbus.Options{Log: newRing(), Schemas: set, Anonymous: wampbus.Reader})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = bus.ServeWebSocket(context.Background(), l) }()
	heap, stack, goroutines := memory()
	clients, err := start("sessions", l.Addr(), *sessions)
	if err != nil {
		return err
	}
	if _, err := clients.line(); err != nil {
		return err
	}
	heapWith, stackWith, goroutinesWith := memory()
	const pause = 2 * time.Minute // two pings each, and some
	busy := cpu()
	time.Sleep(pause)
	busy = cpu() - busy
	each := func(from, to uint64) float64 { return float64(to-from) / float64(*sessions) / 1024 }
	fmt.Printf("%d idle sessions: %.1f KiB heap, %.1f KiB stack, %.1f goroutines each; %.2f%% of one core\n", *sessions,
		each(heap, heapWith), each(stack, stackWith), float64(goroutinesWith-goroutines)/float64(*sessions), 100*busy.Seconds()/pause.Seconds())
	if err := clients.stop(); err != nil {
		return err
	}
	return bus.Close()
}

// allowFiles raises the limit of open files, the hard one too where this process
// may, to as many as that many sessions take at either end.
func allowFiles(sessions int) error {
	need := uint64(sessions) + 200
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= need {
		return err
	}
	had := limit.Max
	limit.Cur, limit.Max = need, max(limit.Max, need)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d sessions take %d open files, and the limit is %d: raise it, or give less -sessions: %w", sessions, need, had, err)
	}
	return nil
}

func memory() (heap, stack uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse, runtime.NumGoroutine()
}

// cpu is what the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// holdSessions is the process with the clients: "sessions ADDRESS COUNT". It
// ends with its standard input.
func holdSessions(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := allowFiles(n); err != nil {
		return err
	}
	for range n {
		s, err := join(args[0])
		if err != nil {
			return err
		}
		if err := s.follow(topic); err != nil {
			return err
		}
		go func() {
			for s.skip(make([]byte, 512)) == nil { // answers pings
			}
		}()
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
