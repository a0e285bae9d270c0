package eventstore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

var (
	crashStates = flag.Int("crash-states", 120, "how many states after a crash the simulation looks at")
	crashSeed   = flag.Uint64("crash-seed", 0, "the seed of the one store that the simulation runs; 0: many, at random")
)

// lifetimes is how many crashes one store goes through.
const lifetimes = 12

// TestCrashSimulated runs stores whose journal is on a simulated disk and whose
// power goes, or whose disk fails, at some change of journal, log or index,
// recovery and close included. After each crash the store is opened again, and
// everything that was acknowledged or seen must be there, everything refused
// must not, an append of unknown outcome all or not at all, and the whole must
// verify.
func TestCrashSimulated(t *testing.T) {
	t.Parallel()
	if *crashSeed != 0 {
		runCrashes(t, *crashSeed, lifetimes)
		return
	}
	var crashes atomic.Int64
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for crashes.Load() < int64(*crashStates) && !t.Failed() {
				crashes.Add(int64(runCrashes(t, rand.Uint64()|1, lifetimes)))
			}
		})
	}
	running.Wait()
	t.Logf("%d states", crashes.Load())
}

// shmDir is a directory where syncs cost nothing: log and index need not be on a
// disk that can really lose something.
func shmDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(MemoryDir(), "eventstore")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// runCrashes takes one store through n lifetimes and returns how many ended in
// a crash. It is deterministic but for the order of goroutines.
func runCrashes(t *testing.T, seed uint64, n int) (crashes int) {
	dir := shmDir(t)
	defer os.RemoveAll(dir)
	disk := newPowerDisk(seed)
	c := crasher{
		t: t, seed: seed, dir: dir, disk: disk, random: rand.New(rand.NewPCG(seed, 3)),
		witness: newWitness(),
	}
	for c.life = range n {
		if !c.live() {
			t.Errorf("seed %d, lifetime %d; the same again, but for the order of goroutines: go test -run TestCrashSimulated -crash-seed %d", seed, c.life, seed)
			break
		}
		crashes++
	}
	return crashes
}

// crasher takes a store from crash to crash.
type crasher struct {
	t       *testing.T
	seed    uint64
	dir     string
	disk    *powerDisk
	random  *rand.Rand
	life    int
	witness *witness
	store   atomic.Pointer[Store]
}

func (c *crasher) fail(format string, args ...any) bool {
	c.t.Errorf(format, args...)
	return false
}

// live is one lifetime: open, perhaps crash in it, check, append until the next
// crash.
func (c *crasher) live() bool {
	for c.random.IntN(3) == 0 { // the recovery itself crashes
		c.disk.arm(1+c.random.IntN(30), noFault, 0)
		s, err := c.open()
		if err == nil {
			_ = s.Close() // fails where the power goes
		} else if !errors.Is(err, errPower) {
			return c.fail("open, while the power goes: %v", err)
		}
		c.crash()
	}
	c.disk.arm(-1, noFault, 0)
	s, err := c.open()
	if err != nil {
		return c.fail("open after a crash: %v", err)
	}
	if err := c.witness.check(s); err != nil {
		_ = s.Close()
		return c.fail("after a crash: %v", err)
	}
	switch c.random.IntN(4) {
	case 0, 1:
		c.disk.arm(1+c.random.IntN(200), noFault, 0)
	case 2:
		c.disk.arm(-1, 1+fault(c.random.IntN(int(faults)-1)), 1+c.random.IntN(40))
	case 3: // a clean close, or a crash in it
	}
	c.store.Store(s)
	err = c.load(s)
	c.store.Store(nil)
	if err != nil {
		_ = s.Close()
		return c.fail("while appending: %v", err)
	}
	if c.random.IntN(4) == 0 {
		c.disk.arm(1+c.random.IntN(12), noFault, 0)
	}
	_ = s.Close() // may fail, as the disk did
	c.crash()
	return true
}

// crash ends the process: with the power, or by itself.
func (c *crasher) crash() {
	if c.random.IntN(3) > 0 {
		c.disk.losePower()
	} else {
		c.disk.kill()
	}
}

func (c *crasher) open() (*Store, error) {
	return Open(c.dir, Options{
		Schemas: eventstoretest.Schema, MaxAppend: 16 << 10, MaxJournal: 96 << 10, MaxTail: 48 << 10,
		Logger: slog.New(slog.DiscardHandler),
		hooks: hooks{
			fs: c.disk, at: c.at, interval: time.Millisecond, chunk: 4,
		},
	})
}

// at also reads what was acknowledged last: whatever log, index and tail are at,
// it must be there.
func (c *crasher) at(p point) error {
	if s := c.store.Load(); s != nil && p != pointPersist && p != pointPersisted && p != pointPublished {
		if err := c.witness.readLast(s); err != nil {
			c.t.Errorf("at %q: %v", p, err)
		}
	}
	return c.disk.at(p)
}

// load appends from several goroutines, each until its first append of unknown
// outcome, while another one follows.
func (c *crasher) load(s *Store) error {
	const appenders = 4
	errs := make(chan error, appenders)
	following, stop := context.WithCancel(context.Background())
	defer stop()
	followed := make(chan error, 1)
	go func() { followed <- c.witness.follow(following, s) }()
	for g := range appenders {
		random := rand.New(rand.NewPCG(c.random.Uint64(), uint64(g)))
		go func() { errs <- c.witness.appendSome(s, fmt.Sprintf("%d-%d", c.life, g), random) }()
	}
	var err error
	for range appenders {
		err = errors.Join(err, <-errs)
	}
	stop()
	return errors.Join(err, <-followed)
}

// witness is outside of the store and knows what the store said.
type witness struct {
	mu      sync.Mutex
	acked   map[string]event.Receipt
	unknown map[string]bool
	refused map[string]bool
	seen    map[uint64]event.ID // by a reader
	last    string              // key that was acknowledged last
}

func newWitness() *witness {
	return &witness{
		acked: map[string]event.Receipt{}, unknown: map[string]bool{}, refused: map[string]bool{},
		seen: map[uint64]event.ID{},
	}
}

// keyed is the append with a key: it always has the same content.
func keyed(key string) event.Append {
	h := fnv.New32a()
	h.Write([]byte(key))
	n := h.Sum32()
	a := event.Append{Stream: fmt.Sprintf("ledger-%d", n%3), Key: key}
	for i := range 1 + n/3%4 {
		p := eventstoretest.Noted(key, int64(i))
		p.Metadata = []event.Meta{{Key: "pad", Value: string(make([]byte, n/16%600))}}
		a.Events = append(a.Events, p)
	}
	return a
}

// appendSome appends until something went wrong with the disk, or enough.
func (w *witness) appendSome(s *Store, name string, random *rand.Rand) error {
	for i := range 20 + random.IntN(20) {
		key := fmt.Sprintf("%s-%d", name, i)
		if random.IntN(8) == 0 {
			key = w.anyAcked(key)
		}
		if again, err := w.append(s, key, random); err != nil || !again {
			return err
		}
	}
	return nil
}

func (w *witness) anyAcked(otherwise string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.acked {
		return key
	}
	return otherwise
}

func (w *witness) append(s *Store, key string, random *rand.Rand) (again bool, err error) {
	ctx := context.Background()
	a := keyed(key)
	at := event.StreamAt{Stream: a.Stream}
	if random.IntN(2) == 0 {
		page, err := s.ReadPage(ctx, event.Selection{Stream: a.Stream, Backward: true, Limit: 1}, event.PageOptions{})
		if err != nil {
			return false, fmt.Errorf("read the version of %s: %w", a.Stream, err)
		}
		for e := range page.Events() {
			at.Version = e.Version()
		}
		a.Conditions = []event.Condition{at}
	}
	receipt, err := s.Append(ctx, a)
	w.mu.Lock()
	earlier, repeated := w.acked[key]
	switch {
	case err == nil && repeated:
		if !receipt.Repeated || receipt.First != earlier.First {
			err = fmt.Errorf("key %s, which has position %d: %+v", key, earlier.First, receipt)
		}
	case err == nil:
		w.acked[key], w.last, again = receipt, key, true
		if a.Conditions != nil && receipt.Version != at.Version+uint64(len(a.Events)) {
			err = fmt.Errorf("version %d after %d events on %v", receipt.Version, len(a.Events), at)
		}
	case errors.Is(err, event.ErrOutcomeUnknown):
		w.unknown[key] = true
		err = nil
	case errors.Is(err, event.ErrConflict):
		if err, again = nil, true; !repeated {
			w.refused[key] = true
		}
	case errors.Is(err, event.ErrUnavailable):
		if err = nil; !repeated {
			w.refused[key] = true
		}
	}
	w.mu.Unlock()
	if again && err == nil {
		err = w.read(s, key)
	}
	return again || repeated && err == nil, err
}

// readLast reads what was acknowledged last.
func (w *witness) readLast(s *Store) error {
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	return w.read(s, last)
}

// read finds an acknowledged append by its key, its stream and its tag.
func (w *witness) read(s *Store, key string) error {
	w.mu.Lock()
	want, ok := w.acked[key]
	w.mu.Unlock()
	if !ok {
		return nil
	}
	ctx := context.Background()
	got, ok, err := s.AppendByKey(ctx, key)
	if errors.Is(err, event.ErrUnavailable) {
		return nil // closed
	}
	if err != nil || !ok || got.First != want.First || fmt.Sprint(got.IDs) != fmt.Sprint(want.IDs) {
		return fmt.Errorf("acknowledged key %s: found %v %+v, %v, want %+v", key, ok, got, err, want)
	}
	for _, sel := range []event.Selection{
		{After: want.First - 1, Limit: len(want.IDs)},
		{Stream: keyed(key).Stream, After: want.First - 1, Limit: len(want.IDs)},
		{Tags: []string{"text:" + key}},
		{Types: []string{eventstoretest.NotedType}, AfterID: want.IDs[0], Backward: true, Limit: 1},
		{AfterID: want.IDs[0], Limit: len(want.IDs) - 1},
	} {
		page, err := s.ReadPage(ctx, sel, event.PageOptions{})
		if errors.Is(err, event.ErrUnavailable) {
			return nil
		}
		switch {
		case err != nil:
			return fmt.Errorf("acknowledged key %s, read %+v: %w", key, sel, err)
		case sel.Backward:
			if want.First > 1 && (page.Count != 1 || page.Last != want.First-1) {
				return fmt.Errorf("before acknowledged key %s at %d: %d events, position %d", key, want.First, page.Count, page.Last)
			}
			continue
		case sel.AfterID != event.ID{} && sel.Limit == 0:
			continue
		}
		ids := want.IDs
		if !sel.AfterID.IsZero() {
			ids = ids[1:]
		}
		i := 0
		for e, err := range page.Events() {
			if err != nil || i >= len(ids) || e.ID() != ids[i] || e.BatchKey() != key {
				return fmt.Errorf("acknowledged key %s at %d, read %+v: event %d is %v, %v", key, want.First, sel, i, e, err)
			}
			i++
		}
		if i != len(ids) {
			return fmt.Errorf("acknowledged key %s at %d, read %+v: %d of %d events", key, want.First, sel, i, len(ids))
		}
	}
	return nil
}

// follow notes everything that becomes visible.
func (w *witness) follow(ctx context.Context, s *Store) error {
	head, err := s.Head(context.Background())
	if err != nil {
		return err
	}
	next := head.Position + 1
	for e, err := range s.Subscribe(ctx, event.Selection{After: head.Position}, event.SubscribeOptions{}) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow: %w", err)
		}
		if e.Position() != next {
			return fmt.Errorf("follow: position %d after %d", e.Position(), next-1)
		}
		next++
		w.mu.Lock()
		w.seen[e.Position()] = e.ID()
		w.mu.Unlock()
	}
	return nil
}

// check compares the store after a crash with what is known of it. What was
// unknown is known afterwards, and must not change any more.
func (w *witness) check(s *Store) error {
	ctx := context.Background()
	report, err := s.Verify(ctx)
	if err != nil || !report.OK() {
		return fmt.Errorf("verify: %v, %w", report.Problems, err)
	}
	found := map[string]int{}
	ids := map[uint64]event.ID{}
	for e, err := range s.Read(ctx, event.Selection{}) {
		if err != nil {
			return err
		}
		found[e.BatchKey()]++
		ids[e.Position()] = e.ID()
	}
	if uint64(len(ids)) != report.Head {
		return fmt.Errorf("read %d events up to position %d", len(ids), report.Head)
	}
	w.mu.Lock()
	for key := range w.unknown {
		if found[key] == 0 {
			w.refused[key] = true
		} else if found[key] != len(keyed(key).Events) {
			err = fmt.Errorf("%d of %d events of key %s", found[key], len(keyed(key).Events), key)
		} else {
			w.acked[key], _, err = s.AppendByKey(ctx, key)
		}
		delete(w.unknown, key)
	}
	for position, id := range w.seen {
		if ids[position] != id {
			err = fmt.Errorf("position %d was seen with id %v, it is %v", position, id, ids[position])
		}
	}
	for key := range w.refused {
		if found[key] != 0 {
			err = fmt.Errorf("key %s was refused, and is there", key)
		}
	}
	acked := len(w.acked)
	var some []string // at random, as a map goes
	for key, receipt := range w.acked {
		for i, id := range receipt.IDs {
			if ids[receipt.First+uint64(i)] != id {
				err = fmt.Errorf("key %s was acknowledged at %d, position %d has id %v", key, receipt.First, receipt.First+uint64(i), ids[receipt.First+uint64(i)])
			}
		}
		if len(some) < 20 {
			some = append(some, key)
		}
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if len(found) != acked {
		return fmt.Errorf("%d appends are there, %d were acknowledged", len(found), acked)
	}
	for _, key := range some {
		if err := w.read(s, key); err != nil {
			return err
		}
	}
	return nil
}
