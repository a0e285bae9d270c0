package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/upcast"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/walk"
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
	// BatchEvents and BatchBytes bound what is folded in memory before it is
	// stored in one transaction, far behind the log's end: events, and bytes
	// of the rows that they touch. 0 means 4 million events and 256 MiB. A
	// batch also ends after a second, or four times as long as the last one
	// took to store, at most 10 s.
	//
	// The builds that catch up, and the live views together, share BatchBytes
	// in equal parts. A part is exceeded by what one event changes, as an event
	// is applied as a whole, and by what brings several live views to the same
	// event.
	BatchEvents int
	BatchBytes  int
	// HandlerTimeout is how long Apply may take for one event before its
	// context ends; 0 means 30 s. A handler that has not returned 5 s later is
	// left behind, see [StuckError].
	HandlerTimeout time.Duration
	// Patience is how long the live views wait for the slowest of them; it
	// then catches up on its own, and can be read again when it has, as long
	// afterwards at the earliest. That doubles, up to 32 times Patience, when
	// it is soon too slow again. 0 means 1 s.
	Patience time.Duration
	// BuildHold is how long a build that catches up may hold up live views
	// that have work, by storing what it folded; 0 means 10 ms. While they
	// have none, it stores larger batches, and may hold up the first events
	// after a quiet second twice for half a second at most.
	BuildHold time.Duration
	// BuildRate bounds how many events a second each build reads that catches
	// up; 0 means as many as it can.
	BuildRate int
	// MaxWait bounds [Engine.At], whatever its context allows, and how long
	// Open waits for the log; 0 means a minute.
	MaxWait time.Duration
	// MapSize is the address space reserved for the views, the largest size
	// they may reach together; 0 means 1 TiB.
	MapSize int64

	// failpoint, when set, is called at every failpoint by the package's
	// tests: its error aborts what was going on.
	failpoint func(failpoint) error
	// handlerGrace is how long a handler has to return after its context has
	// ended; 0 means 5 s.
	handlerGrace time.Duration
}

const (
	defaultBatchEvents    = 1 << 22
	defaultBatchBytes     = 256 << 20
	defaultHandlerTimeout = 30 * time.Second
	defaultHandlerGrace   = 5 * time.Second
	defaultPatience       = time.Second
	defaultBuildHold      = 10 * time.Millisecond
	defaultMaxWait        = time.Minute
)

const (
	environmentKind   = "verbatim.views"
	environmentFormat = 1
)

func (o Options) withDefaults() (Options, error) {
	if o.BatchEvents < 0 || o.BatchBytes < 0 || o.MaxWait < 0 || o.MapSize < 0 ||
		o.HandlerTimeout < 0 || o.Patience < 0 || o.BuildHold < 0 || o.BuildRate < 0 {
		return o, errors.New("projection: options must not be negative")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.BatchEvents = cmp.Or(o.BatchEvents, defaultBatchEvents)
	o.BatchBytes = cmp.Or(o.BatchBytes, defaultBatchBytes)
	o.HandlerTimeout = cmp.Or(o.HandlerTimeout, defaultHandlerTimeout)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	o.BuildHold = cmp.Or(o.BuildHold, defaultBuildHold)
	o.handlerGrace = cmp.Or(o.handlerGrace, defaultHandlerGrace)
	o.MaxWait = cmp.Or(o.MaxWait, defaultMaxWait)
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
	pages   walk.Map
	catalog catalog

	views map[string][]*view // all versions of a name, as they were given; never changes
	order []string           // names, sorted
	all   []*view            // all versions, sorted by name

	cancel context.CancelFunc
	done   chan struct{} // the follower has ended
	wake   chan struct{} // holds one when the follower has something to look at

	// What follows belongs to the follower.
	batch        batch
	storing      *storing
	left         []*build // were live, and are on their own by the batch's end
	chunk        int      // events that the live views take at once
	polling      polling
	polls        sync.WaitGroup
	results      chan *fold
	ready        []*fold       // results put aside
	stuck        []*fold       // left behind
	abandoned    []*build      // to be parked, their handlers were left behind
	batchLasts   time.Duration // how long a batch far behind the log's end may take
	lastLive     time.Time
	closing      *build // the live views wait for it, until closingUntil
	closingUntil time.Time
	buildAfter   time.Time     // when builds beside busy live views go on
	rowCost      time.Duration // what it takes to store a row

	mu sync.Mutex
	// What follows is written by the follower alone, under mu; so are the
	// counters of the views, and their main builds.
	live    checkpoint
	head    uint64 // of the log, as last heard
	states  map[*build]*state
	serving map[string]*view
	trouble error         // why the follower does not move, nil when it does
	stopped bool          // it has ended
	changed chan struct{} // closed and replaced whenever any of it changes
	// What follows is written by anyone, under mu.
	requests []request
	closed   bool
}

// Open opens the views in dir, which is made if it does not exist, and starts
// to follow the log. Definitions are matched with what is stored by name and
// version: a new version is built from the log's beginning, beside the others
// of its name; one whose table or indexes changed is refused with a
// [*LayoutError]; what is stored without a definition is left as it is, until
// it is dropped.
//
// Several versions of a view may be given. The view is read from the one that
// [Engine.Switch] last chose; when there is none, or it has no definition any
// more, from the first.
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
		views: make(map[string][]*view),
		done:  make(chan struct{}), wake: make(chan struct{}, 1), chunk: firstChunk, batchLasts: flushAfter,
		states: make(map[*build]*state), serving: make(map[string]*view), changed: make(chan struct{}),
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
		for _, other := range e.views[v.name] {
			if other.version == v.version {
				return fmt.Errorf("projection: view %q, version %q, is defined twice, by tables %q and %q", v.name, v.version, other.table, v.table)
			}
			if err := other.readableAs(v); err != nil {
				return err
			}
		}
		e.views[v.name] = append(e.views[v.name], v)
	}
	e.order = slices.Sorted(maps.Keys(e.views))
	for _, name := range e.order {
		e.all = append(e.all, e.views[name]...)
	}
	e.results = make(chan *fold, places*len(e.all))
	return nil
}

// find returns the version of a view that a reference names: "view@version", or
// "view" for the one that serves.
func (e *Engine) find(reference string) (*view, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.findLocked(reference)
}

func (e *Engine) findLocked(reference string) (*view, error) {
	name, version, versioned := strings.Cut(reference, "@")
	if !versioned {
		if v := e.serving[name]; v != nil {
			return v, nil
		}
	}
	for _, v := range e.views[name] {
		if versioned && v.version == version && !v.dropped {
			return v, nil
		}
	}
	return nil, &event.UnknownError{Kind: "view", Name: reference}
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
	for _, v := range e.all {
		n += places * (1 + len(v.indexes))
	}
	return n
}

// Close ends the contexts of handlers, stops following, waits for snapshots in
// flight and closes the environment. What was folded and not stored is folded
// again at the next Open. A handler that has not returned after 5 s is left
// behind: it goes on without being able to change anything, and Close returns
// a [*StuckError] that says so. Close must not be called inside a snapshot or a
// handler. A second Close does nothing.
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
	return errors.Join(e.stuckError(), e.env.Close(), e.lock.Unlock())
}

// stuckError names the views whose handlers were left behind and have not
// returned in the time that they have for it.
func (e *Engine) stuckError() error {
	var errs []error
	for _, f := range e.stuck {
		if !f.returns(time.Until(f.left.Add(e.options.handlerGrace))) {
			errs = append(errs, fmt.Errorf("view %q: %w", f.build.view.name, &StuckError{After: time.Since(f.since).Round(time.Millisecond)}))
		}
	}
	return errors.Join(errs...)
}

// View runs fn with a snapshot of what the views are now.
func (e *Engine) View(fn func(*Snapshot) error) error {
	_, err := e.snapshot(0, fn)
	return err
}

// At runs fn with a snapshot of the views as of position or later. It waits for
// the live views to get there, and for the views named, which may still be
// catching up; without being named, such a view fails inside fn. A name is that
// of a view, or "view@version" for a version that does not serve. The wait is
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
	for _, reference := range views {
		v, err := e.findLocked(reference)
		if err != nil {
			return false, nil, err
		}
		s := e.states[v.main]
		if s.status == statusParked {
			return false, nil, s.behind(reference, e.live)
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

// nudge makes the follower look at what there is to do.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
