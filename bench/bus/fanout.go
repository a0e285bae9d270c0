package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

const topic = "es.event.bench.ledger.posted"

// window is how many events may be on their way to the slowest subscriber: a
// subscriber that falls behind would be let go by one system, lose events
// silently in another, and slow down a third.
const window = 4096

// fanoutSystems are measured, the limit last.
var fanoutSystems = []string{"verbatim", "nexus", "nats", "tcp"}

func runFanout(args []string) error {
	flags := flag.NewFlagSet("fanout", flag.ContinueOnError)
	counts := flags.String("subscribers", "1,10,50", "subscribers at the same time")
	seconds := flags.Float64("seconds", 5, "length of a run")
	runs := flags.Int("runs", 5, "runs of each row")
	size := flags.Int("size", 1024, "bytes of an event's payload")
	only := flags.String("only", "", "systems to measure, a regular expression")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	type row struct {
		system      string
		subscribers int
	}
	rates := map[row][]float64{}
	allocs := map[row][]float64{}
	for range *runs {
		for _, n := range strings.Split(*counts, ",") {
			subscribers, err := strconv.Atoi(n)
			if err != nil {
				return err
			}
			for _, system := range fanoutSystems {
				if !wanted.MatchString(system) {
					continue
				}
				r := row{system, subscribers}
				rate, mallocs, err := fanout(system, subscribers, *size, *seconds)
				if err != nil {
					return fmt.Errorf("%s, %d subscribers: %w", system, subscribers, err)
				}
				fmt.Fprintf(os.Stderr, "%s, %d subscribers: %.0f deliveries/s\n", system, subscribers, rate)
				rates[r] = append(rates[r], rate)
				allocs[r] = append(allocs[r], mallocs)
			}
		}
	}
	fmt.Printf("live fan-out, %d B, %d runs of %g s; medians\n\n| | subscribers | deliveries/s | of nexus | of TCP | server's allocations a delivery |\n|---|---|---|---|---|---|\n", *size, *runs, *seconds)
	keys := make([]row, 0, len(rates))
	for r := range rates {
		keys = append(keys, r)
	}
	slices.SortFunc(keys, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.subscribers, b.subscribers), cmp.Compare(slices.Index(fanoutSystems, a.system), slices.Index(fanoutSystems, b.system)))
	})
	for _, r := range keys {
		fmt.Printf("| %s | %d | %.0f (%.0f–%.0f) | %s | %s | %.1f |\n", r.system, r.subscribers, median(rates[r]), slices.Min(rates[r]), slices.Max(rates[r]),
			ratio(rates[r], rates[row{"nexus", r.subscribers}]), ratio(rates[r], rates[row{"tcp", r.subscribers}]), median(allocs[r]))
	}
	return nil
}

func median(of []float64) float64 { return quantile(of, 0.5) }

func quantile(of []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[int(float64(len(sorted))*q)]
}

func ratio(a, b []float64) string {
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", median(a)/median(b))
}

// fanout returns deliveries a second, and the server's allocations for each.
func fanout(system string, subscribers, size int, seconds float64) (rate, allocs float64, err error) {
	server, err := start("serve", system, size, seconds, subscribers)
	if err != nil {
		return 0, 0, err
	}
	address, err := server.line()
	if err != nil {
		return 0, 0, err
	}
	client, err := start("subscribe", system, address, subscribers, size)
	if err != nil {
		return 0, 0, err
	}
	if _, err := client.line(); err != nil {
		return 0, 0, err
	}
	if err := server.tell("go"); err != nil {
		return 0, 0, err
	}
	go func() { // tell the server what has arrived
		for {
			line, err := client.line()
			if err != nil || server.tell(line) != nil {
				return
			}
		}
	}()
	line, err := server.line()
	if err != nil {
		return 0, 0, err
	}
	var published, mallocs uint64
	var took int64 // nanoseconds
	if _, err := fmt.Sscan(line, &published, &took, &mallocs); err != nil {
		return 0, 0, fmt.Errorf("%q: %w", line, err)
	}
	deliveries := float64(published) * float64(subscribers)
	if err := client.in.Close(); err != nil {
		return 0, 0, err
	}
	return deliveries / time.Duration(took).Seconds(), float64(mallocs) / deliveries, cmp.Or(server.stop(), client.cmd.Wait())
}

// subscribe is the process with the subscribers: "subscribe SYSTEM ADDRESS
// SUBSCRIBERS SIZE". It says how many events all of them have, and ends with its
// standard input.
func subscribe(args []string) error {
	system, address := args[0], args[1]
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	arrived := make([]atomic.Uint64, n)
	for i := range arrived {
		if err := followers[system](address, size, &arrived[i]); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = bufio.NewReader(os.Stdin).ReadString(0) // until nobody is there
	}()
	fmt.Println("ready")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for told := uint64(0); ; {
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
		least := arrived[0].Load()
		for i := range arrived {
			least = min(least, arrived[i].Load())
		}
		if least != told {
			told = least
			fmt.Println(told)
		}
	}
}

// followers count what arrives at a subscriber.
var followers = map[string]func(address string, size int, arrived *atomic.Uint64) error{
	"verbatim": followWAMP, "nexus": followWAMP, "tcp": followTCP, "nats": followNATS,
}

func followWAMP(address string, _ int, arrived *atomic.Uint64) error {
	s, err := join(address)
	if err != nil {
		return err
	}
	if err := s.follow(topic); err != nil {
		return err
	}
	go func() {
		for buffer := make([]byte, 64<<10); s.skip(buffer) == nil; {
			arrived.Add(1)
		}
	}()
	return nil
}

func followTCP(address string, size int, arrived *atomic.Uint64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 64<<10)
		for bytes := 0; ; {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			bytes += n
			arrived.Store(uint64(bytes / frameSize(size)))
		}
	}()
	return nil
}

func followNATS(address string, _ int, arrived *atomic.Uint64) error {
	conn, err := nats.Connect("nats://" + address)
	if err != nil {
		return err
	}
	if _, err := conn.Subscribe(topic, func(*nats.Msg) { arrived.Add(1) }); err != nil {
		return err
	}
	return conn.FlushWithContext(timeout())
}

// timeout keeps anything from waiting for ever.
func timeout() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	_ = cancel // it ends with its time
	return ctx
}
