package projection

import (
	"math"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Info describes a view as its schema declares it.
type Info struct {
	Name    string
	Version string
	// Table is the full name of the rows' table.
	Table string
	// Key is the primary key, Indexes the secondary indexes.
	Key     Column
	Indexes []Index
}

// Views returns the views that the engine keeps, sorted by name. The indexes
// are shared: they must not be changed.
func (e *Engine) Views() []Info {
	infos := make([]Info, len(e.order))
	for i, name := range e.order {
		v := e.views[name]
		infos[i] = Info{Name: v.name, Version: v.version, Table: v.table, Key: v.key, Indexes: v.indexes}
	}
	return infos
}

// Stats is what an engine is doing.
type Stats struct {
	// Store is the log's store, Head its last position as last heard.
	Store event.ID
	Head  uint64
	// Position is what the live views have applied.
	Position uint64
	// Err is why nothing moves at the moment: the log can't be read, or the
	// disk not be written. nil when all is well. It is tried again, except
	// after a commit that failed on the disk.
	Err   error
	Views []ViewStats // sorted by name
}

// ViewStats is what one view is doing. Counters start at 0 with the engine.
type ViewStats struct {
	Name    string
	Version string
	// Position is what it has applied, Lag how many events the log has beyond.
	Position uint64
	Lag      uint64
	// Live views advance together and can be read. The others are catching
	// up, or parked.
	Live bool
	// Parked says why the view stands still, nil when it does not.
	Parked *Parked
	// Rebuilding is true while a new build is made beside this one, and
	// RebuildPosition what that has applied.
	Rebuilding      bool
	RebuildPosition uint64
	// Rows is the number of rows.
	Rows uint64
	// Applied counts the events handed to the handler and committed, those of
	// rebuilds too; Rate is how many a second it has been lately, averaged
	// with a weight that halves every 3.5 s.
	Applied uint64
	Rate    float64
	// Failures counts the times that the handler failed.
	Failures uint64
}

// Stats returns what the engine is doing now. It reads memory only.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	stats := Stats{Store: e.live.store, Head: e.head, Position: e.live.position, Err: e.trouble}
	for _, name := range e.order {
		slot, c := e.serving[name], e.counters[name]
		s, other := e.states[e.builds[name][slot]], e.states[e.builds[name][1-slot]]
		view := ViewStats{
			Name: name, Version: e.views[name].version, Position: s.at.position,
			Live: s.status == statusLive, Parked: s.parked,
			Rebuilding: other.status == statusBuilding, RebuildPosition: other.at.position,
			Rows: c.rows, Applied: c.applied, Rate: c.rate.perSecond(now), Failures: c.failures,
		}
		if view.Live {
			view.Position = e.live.position
		}
		view.Lag = e.head - min(e.head, view.Position)
		stats.Views = append(stats.Views, view)
	}
	return stats
}

// counters are a view's, under the engine's lock.
type counters struct {
	applied, failures, rows uint64
	rate                    rate
	waiting                 []request // for the view to become live
}

func (c *counters) wait(r request) { c.waiting = append(c.waiting, r) }

// answer answers those who wait for a view to be resumed, or rebuilt.
func (c *counters) answer(resumed bool, err error) {
	c.waiting = slices.DeleteFunc(c.waiting, func(r request) bool {
		if r.resume == resumed {
			r.answer(err)
		}
		return r.resume == resumed
	})
}

func (c *counters) answerAll(err error) {
	c.answer(true, err)
	c.answer(false, err)
}

// countRows sets the rows of a build that serves its view, when nothing runs yet.
func (e *Engine) countRows(txn *lmdbenv.Txn, b *build) error {
	stat, err := txn.Stat(b.rows)
	if err == nil && e.serves(b) {
		e.counters[b.view.name].rows = stat.Entries
	}
	return err
}

// rate is an exponentially decaying count.
type rate struct {
	value float64 // a second
	at    time.Time
}

// rateWindow is the time in which old events lose all but 1/e of their weight.
const rateWindow = 5 * time.Second

func (r *rate) add(n uint64, now time.Time) {
	r.value = r.perSecond(now) + float64(n)/rateWindow.Seconds()
	r.at = now
}

func (r *rate) perSecond(now time.Time) float64 {
	if r.value == 0 {
		return 0
	}
	return r.value * math.Exp(-now.Sub(r.at).Seconds()/rateWindow.Seconds())
}
