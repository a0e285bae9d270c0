package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// appendOptions are those of "store append".
type appendOptions struct {
	dir             string
	seconds         float64
	runs            int
	only            *regexp.Regexp
	sizes, appender []int
	streams         int
}

func parseAppend(args []string) (o appendOptions, err error) {
	flags := flag.NewFlagSet("append", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where the stores are put")
	flags.Float64Var(&o.seconds, "seconds", 60, "length of a run")
	flags.IntVar(&o.runs, "runs", 5, "runs of each row")
	only := flags.String("only", "", "systems to measure, a regular expression")
	sizes := flags.String("sizes", "256,1024", "bytes of an event's payload")
	appenders := flags.String("appenders", "1,64", "appenders at the same time")
	flags.IntVar(&o.streams, "streams", 10_000, "streams, which are chosen at random")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.only, err = regexp.Compile("(?i)" + *only); err != nil {
		return o, err
	}
	if o.sizes, err = parseInts(*sizes); err != nil {
		return o, err
	}
	o.appender, err = parseInts(*appenders)
	return o, err
}

func parseInts(list string) (out []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// row is one line of the table: a system with a size and a number of appenders.
type row struct {
	system
	size, appenders int
	runs            []run
}

// run is what one run of a row measured.
type run struct {
	rate          float64 // appends a second, until drained
	p50, p99, max time.Duration
	tail          float64 // bytes in the directory an append, once closed
}

func runAppend(args []string) error {
	o, err := parseAppend(args)
	if err != nil {
		return err
	}
	var rows []*row
	for _, size := range o.sizes {
		for _, n := range o.appender {
			for _, s := range systems {
				if o.only.MatchString(s.name) {
					rows = append(rows, &row{system: s, size: size, appenders: n})
				}
			}
		}
	}
	for i := range o.runs {
		for _, r := range rows {
			if r.most > 0 && r.appenders > r.most {
				continue
			}
			result, err := r.measure(o, uint64(i))
			if errors.Is(err, exec.ErrNotFound) {
				fmt.Fprintf(os.Stderr, "SKIPPED: %s: %v\n", r.name, err)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s, %d appenders: %w", r.name, r.appenders, err)
			}
			fmt.Fprintf(os.Stderr, "run %d: %s, %d B, %d appenders: %.0f/s, p50 %v, p99 %v, longest %v\n", i+1, r.name, r.size, r.appenders, result.rate, result.p50, result.p99, result.max)
			r.runs = append(r.runs, result)
		}
	}
	printAppend(o, rows)
	return nil
}

// measure runs one row once, in a new directory.
func (r *row) measure(o appendOptions, seed uint64) (out run, err error) {
	dir, err := os.MkdirTemp(o.dir, "store-")
	if err != nil {
		return run{}, err
	}
	defer os.RemoveAll(dir)
	s, err := r.open(dir)
	if err != nil {
		return run{}, err
	}
	took := make([][]time.Duration, r.appenders)
	errs := make([]error, r.appenders)
	start := time.Now()
	end := start.Add(time.Duration(o.seconds * float64(time.Second)))
	var running sync.WaitGroup
	for i := range r.appenders {
		running.Go(func() {
			took[i], errs[i] = newAppender(i, r.appenders, o.streams, r.size, seed).run(s, end)
		})
	}
	running.Wait()
	if err := s.drain(); err != nil {
		return run{}, err
	}
	elapsed := time.Since(start)
	if err := s.Close(); err != nil {
		return run{}, err
	}
	for _, err := range errs {
		if err != nil {
			return run{}, err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	bytes, err := diskUsage(dir)
	n := len(all)
	return run{
		rate: float64(n) / elapsed.Seconds(), p50: all[n/2], p99: all[n*99/100], max: all[n-1],
		tail: float64(bytes) / float64(n),
	}, err
}

// appender writes to streams that are its own.
type appender struct {
	random   *rand.Rand
	names    []string
	versions []uint64
	payload  []byte
}

func newAppender(i, of, streams, size int, seed uint64) *appender {
	a := &appender{random: rand.New(rand.NewPCG(seed, uint64(i))), payload: make([]byte, size)}
	for s := i; s < streams; s += of {
		a.names = append(a.names, fmt.Sprintf("ledger-%d", s))
	}
	a.versions = make([]uint64, len(a.names))
	for b := range a.payload {
		a.payload[b] = byte(a.random.Uint32())
	}
	return a
}

// next is an event on a random stream.
func (a *appender) next() post {
	s := a.random.IntN(len(a.names))
	p := post{stream: a.names[s], version: a.versions[s], account: "account-" + strconv.Itoa(a.random.IntN(1000)), payload: a.payload}
	a.versions[s]++
	return p
}

// run appends until the end, and returns how long each append took.
func (a *appender) run(s store, end time.Time) (took []time.Duration, err error) {
	for {
		p := a.next()
		start := time.Now()
		if start.After(end) {
			return took, nil
		}
		if err := s.append(p); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
}

// diskUsage is the sum of the blocks of all files below a directory: some are
// sparse.
func diskUsage(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += blocks(info)
		}
		return err
	})
	return bytes, err
}

func printAppend(o appendOptions, rows []*row) {
	fmt.Printf("%d runs of %g s each, %d streams; medians, in brackets the slowest and the fastest run.\n", o.runs, o.seconds, o.streams)
	for _, size := range o.sizes {
		for _, n := range o.appender {
			fmt.Printf("\n%d B, appenders: %d\n\n| | appends/s | of Verbatim | of the disk | p50 | p99 | longest | disk bytes an append |\n|---|---|---|---|---|---|---|---|\n", size, n)
			ours, disk := 0.0, 0.0
			for _, r := range rows {
				if r.size != size {
					continue
				}
				switch {
				case r.name == "disk" && len(r.runs) > 0:
					disk = median(r.runs, rate)
				case r.name == "Verbatim" && r.appenders == n:
					ours = median(r.runs, rate)
				}
			}
			for _, r := range rows {
				if r.size == size && r.appenders == n && len(r.runs) > 0 {
					r.print(ours, disk)
				}
			}
		}
	}
	fmt.Println("\nWhat an append includes:")
	for _, s := range systems {
		if o.only.MatchString(s.name) {
			fmt.Printf("- %s: %s\n", s.name, s.does)
		}
	}
}

func rate(r run) float64 { return r.rate }

func (r *row) print(ours, disk float64) {
	rates := make([]float64, len(r.runs))
	for i := range r.runs {
		rates[i] = r.runs[i].rate
	}
	mid := median(r.runs, rate)
	fmt.Printf("| %s | %.0f (%.0f–%.0f) | %s | %s | %v | %v | %v | %.0f |\n", r.name,
		mid, slices.Min(rates), slices.Max(rates), ratio(mid, ours), ratio(mid, disk),
		median(r.runs, func(r run) time.Duration { return r.p50 }).Round(time.Microsecond),
		median(r.runs, func(r run) time.Duration { return r.p99 }).Round(10*time.Microsecond),
		slices.MaxFunc(r.runs, func(a, b run) int { return cmp.Compare(a.max, b.max) }).max.Round(100*time.Microsecond),
		median(r.runs, func(r run) float64 { return r.tail }))
}

func ratio(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}

// median is the upper one of an even number.
func median[T cmp.Ordered](runs []run, of func(run) T) T {
	values := make([]T, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
