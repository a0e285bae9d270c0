package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/upcast"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Options of an engine. The zero value works.
type Options struct {
	// Logger receives what an operator should know: parked views, rebuilds,
	// trouble with the log. nil means [slog.Default].
	Logger *slog.Logger
	// Upcasters are applied to the events before the views see them; nil leaves
	// them as they are stored. A view that gets an event that one of them fails
	// on is parked there, as when its handler fails. What rows were made of is
	// not stored: when the upcasters of a view's events change, change the
	// view's version.
	Upcasters *upcast.Set
	// BatchEvents and BatchBytes bound one transaction; 0 means 8192 events
	// and 4 MiB. A single event over BatchBytes is a batch of its own.
	BatchEvents int
	BatchBytes  int
	// MaxWait bounds [Engine.At], whatever its context allows, and how long
	// Open waits for the log; 0 means a minute.
	MaxWait time.Duration
	// MapSize is the address space reserved for the views, the largest size
	// they may reach together; 0 means 1 TiB.
	MapSize int64

	// beforeCommit, when set, stands for a crash in the package's tests: its
	// error aborts a batch that is about to be committed.
	beforeCommit func() error
}

const (
	defaultBatchEvents = 8192
	defaultBatchBytes  = 4 << 20
	defaultMaxWait     = time.Minute
)

const (
	environmentKind   = "verbatim.views"
	environmentFormat = 1
)

func (o Options) withDefaults() (Options, error) {
	if o.BatchEvents < 0 || o.BatchBytes < 0 || o.MaxWait < 0 || o.MapSize < 0 {
		return o, errors.New("projection: options must not be negative")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.BatchEvents == 0 {
		o.BatchEvents = defaultBatchEvents
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = defaultBatchBytes
	}
	if o.MaxWait == 0 {
		o.MaxWait = defaultMaxWait
	}
	return o, nil
}

// Engine keeps the views of one directory. Its methods are safe for concurrent
// use.
type Engine struct {
	log     event.Reader
	options Options
	logger  *slog.Logger
	lock    *lmdbenv.Lock
	env     *lmdbenv.Env
	catalog catalog

	views  map[string]*view // never changes
	order  []string         // names, sorted
	builds map[string]*[slots]*build

	cancel context.CancelFunc
	done   chan struct{} // the follower has ended

	mu sync.Mutex
	// What follows is written by the follower alone, under mu.
	live     checkpoint
	head     uint64 // of the log, as last heard
	states   map[*build]*state
	serving  map[string]byte
	counters map[string]*counters
	trouble  error         // why the follower does not move, nil when it does
	stopped  bool          // it has ended
	changed  chan struct{} // closed and replaced whenever any of it changes
	// What follows is written by anyone, under mu.
	requests  []request
	interrupt context.CancelFunc // ends the follower's wait for events
	closed    bool
}

// Open opens the views in dir, which is made if it does not exist, and starts
// to follow the log. Views are matched with what is stored by name: a new one,
// or one of a new version, is built from the log's beginning; a version whose
// table or indexes changed is refused with a [*LayoutError]; stored views
// without a definition are left as they are.
//
// Every checkpoint is compared with the log first, so the log must answer
// within Options.MaxWait: views of another store, or ahead of the log, or with
// another event at their position are built again from 0 and never continued.
//
// Views whose data file is cut off are built again, too. A file that never was
// of views is refused and left as it is.
//
// One engine may have a directory open at a time; a second one fails.
func Open(dir string, log event.Reader, o Options, defs ...Definition) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		log: log, options: o, logger: o.Logger,
		views: make(map[string]*view), builds: make(map[string]*[slots]*build),
		done:   make(chan struct{}),
		states: make(map[*build]*state), serving: make(map[string]byte),
		counters: make(map[string]*counters), changed: make(chan struct{}),
	}
	if err := e.define(defs); err != nil {
		return nil, err
	}
	if err := e.openDir(dir); err != nil {
		return nil, fmt.Errorf("open views in %q: %w", dir, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.follow(ctx)
	return e, nil
}

func (e *Engine) define(defs []Definition) error {
	for _, def := range defs {
		v, err := compile(def)
		if err != nil {
			return err
		}
		if v.name == "" || strings.ContainsAny(v.name, "/\x00") {
			return fmt.Errorf("projection: table %q: %q is no name for a view", def.Table, v.name)
		}
		if other, ok := e.views[v.name]; ok {
			return fmt.Errorf("projection: view %q is defined twice, by tables %q and %q", v.name, other.table, v.table)
		}
		e.views[v.name] = v
		e.order = append(e.order, v.name)
		e.counters[v.name] = new(counters)
	}
	slices.Sort(e.order)
	return nil
}

func (e *Engine) openDir(dir string) (err error) {
	if dir == "" {
		return errors.New("the directory's name is empty: give one")
	}
	if _, err := os.Stat(filepath.Join(dir, lmdbenv.LockFile)); err != nil {
		// Nobody has it open: put no lock into what is not of views.
		if err := lmdbenv.Check(dir, environmentKind); errors.Is(err, lmdbenv.ErrForeign) {
			return notViews(err)
		}
	}
	if err := lmdbenv.MkdirAll(dir); err != nil {
		return err
	}
	if e.lock, err = lmdbenv.LockDir(dir); err != nil {
		return err
	}
	if err := e.openEnv(dir); err != nil {
		return errors.Join(err, e.lock.Unlock())
	}
	e.catalog = catalog{db: e.env.Meta()}
	if err := e.settle(); err != nil {
		return errors.Join(err, e.env.Close(), e.lock.Unlock())
	}
	return nil
}

// openEnv opens the environment. Views that are not whole are made again: they
// hold nothing that the log does not. What never was an environment of views is
// somebody else's.
func (e *Engine) openEnv(dir string) (err error) {
	o := lmdbenv.Options{
		Kind: environmentKind, Format: environmentFormat,
		MapSize: e.options.MapSize, MaxDBs: e.maxDBs(),
	}
	e.env, err = lmdbenv.Open(dir, o)
	switch {
	case errors.Is(err, lmdbenv.ErrForeign):
		return notViews(err)
	case lmdbenv.IsDamaged(err):
		e.logger.Warn("the views can't be read and are built again", "dir", dir, "error", err)
		if err := os.Remove(filepath.Join(dir, lmdbenv.DataFile)); err != nil {
			return err
		}
		e.env, err = lmdbenv.Open(dir, o)
	}
	return err
}

func notViews(err error) error {
	return fmt.Errorf("%w: give another directory, or delete %q in this one if it was of views", err, lmdbenv.DataFile)
}

// maxDBs counts the handles needed: those of every slot, the meta database and
// one for whatever is being dropped.
func (e *Engine) maxDBs() int {
	n := 2
	for _, v := range e.views {
		n += slots * (1 + len(v.indexes))
	}
	return n
}

// Close stops following after the batch that is being applied, waits for
// snapshots in flight and closes the environment. It must not be called inside
// a snapshot or a handler. A second Close does nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	e.cancel()
	<-e.done
	if again {
		return nil
	}
	return errors.Join(e.env.Close(), e.lock.Unlock())
}

// View runs fn with a snapshot of what the views are now.
func (e *Engine) View(fn func(*Snapshot) error) error {
	_, err := e.snapshot(0, fn)
	return err
}

// At runs fn with a snapshot of the views as of position or later. It waits for
// the live views to get there, and for the views named, which may still be
// catching up; without being named, such a view fails inside fn. The wait is
// bounded by ctx and Options.MaxWait and ends with an [*event.BehindError], at
// once when a view named is parked.
func (e *Engine) At(ctx context.Context, position uint64, fn func(*Snapshot) error, views ...string) error {
	timer := time.NewTimer(e.options.MaxWait)
	defer timer.Stop()
	for {
		ready, changed, err := e.reached(position, views)
		if err != nil {
			return err
		}
		if ready {
			// The log may have been replaced since: then wait again.
			if ran, err := e.snapshot(position, fn); ran || err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-timer.C:
			return e.late(position)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", e.late(position), context.Cause(ctx))
		}
	}
}

// snapshot reports whether it ran fn, which it does not when the views are not
// at the position.
func (e *Engine) snapshot(position uint64, fn func(*Snapshot) error) (ran bool, err error) {
	reader, err := e.env.Begin()
	if errors.Is(err, lmdbenv.ErrClosed) {
		return false, ErrClosed
	}
	if err != nil {
		return false, err
	}
	defer reader.Close()
	live, err := e.catalog.live(reader.Txn)
	if err != nil || live.position < position {
		return false, err
	}
	s := &Snapshot{engine: e, txn: reader.Txn, live: live}
	defer s.expire()
	return true, fn(s)
}

// reached reports whether the live views are at position and the views named
// are among them, and a channel that is closed when the answer may be another.
func (e *Engine) reached(position uint64, views []string) (ready bool, changed <-chan struct{}, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, nil, ErrClosed
	}
	if ready = e.live.position >= position; !ready && e.stopped {
		return false, nil, e.lateLocked(position)
	}
	for _, name := range views {
		if e.views[name] == nil {
			return false, nil, &event.UnknownError{Kind: "view", Name: name}
		}
		s := e.states[e.builds[name][e.serving[name]]]
		if s.status == statusParked {
			return false, nil, s.behind(name, e.live)
		}
		ready = ready && s.status == statusLive
	}
	return ready, e.changed, nil
}

func (e *Engine) late(position uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lateLocked(position)
}

func (e *Engine) lateLocked(position uint64) error {
	message := fmt.Sprintf("position %d was not reached in time", position)
	if e.trouble != nil {
		message += ": " + e.trouble.Error()
	}
	return &event.BehindError{Position: e.live.position, Message: message}
}

// update publishes what the follower changes.
func (e *Engine) update(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	close(e.changed)
	e.changed = make(chan struct{})
}
