package projection

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
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

// Views returns the views that the engine keeps, sorted by name, each in the
// version that serves now. The indexes are shared: they must not be changed.
func (e *Engine) Views() []Info {
	e.mu.Lock()
	defer e.mu.Unlock()
	infos := make([]Info, len(e.order))
	for i, name := range e.order {
		v := e.serving[name]
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
	Views []ViewStats // every version, sorted by name, the serving ones first
}

// ViewStats is what one version of a view is doing. Counters start at 0 with
// the engine.
type ViewStats struct {
	Name    string
	Version string
	// Serving is true for the version that the view is read from.
	Serving bool
	// Position is what it has applied, Lag how many events the log has beyond.
	Position uint64
	Lag      uint64
	// Live versions advance together and can be read. The others are catching
	// up, or parked.
	Live bool
	// Parked says why the version stands still, nil when it does not.
	Parked *Parked
	// Skipped are the events that it leaves out, in the order of the log.
	Skipped []Skipped
	// Stuck is how long its handler has not returned from one event, 0 unless
	// that has been for a second.
	Stuck time.Duration
	// Rebuilding is true while a new build is made beside this one, and
	// RebuildPosition what that has applied.
	Rebuilding      bool
	RebuildPosition uint64
	// BuildRate is how many positions a second it, or its rebuild, has caught
	// up lately, and ETA when it will be there at this rate; both are 0 while
	// nothing catches up, ETA also as long as it can't be told.
	BuildRate float64
	ETA       time.Duration
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
	for _, v := range e.all {
		if !v.dropped {
			stats.Views = append(stats.Views, e.viewStats(v, now))
		}
	}
	slices.SortStableFunc(stats.Views, func(a, b ViewStats) int {
		if byName := cmp.Compare(a.Name, b.Name); byName != 0 || a.Serving == b.Serving {
			return byName
		}
		if a.Serving {
			return -1
		}
		return 1
	})
	return stats
}

func (e *Engine) viewStats(v *view, now time.Time) ViewStats {
	s, other := e.states[v.main], e.states[v.spare()]
	view := ViewStats{
		Name: v.name, Version: v.version, Serving: e.serves(v), Position: s.at.position,
		Live: s.status == statusLive, Parked: s.parked,
		Rebuilding: other.status == statusRebuilding, RebuildPosition: other.at.position,
		Rows: v.rows, Applied: v.applied, Rate: v.rate.perSecond(now), Failures: v.failures,
	}
	for _, position := range slices.Sorted(maps.Keys(v.skips)) {
		view.Skipped = append(view.Skipped, v.skips[position])
	}
	if view.Live {
		view.Position = e.live.position
	}
	if v.stuck != (stuck{}) {
		view.Stuck = now.Sub(v.stuck.Since)
	}
	view.Lag = e.head - min(e.head, view.Position)
	behind := view.Lag
	if view.Rebuilding {
		behind = e.head - min(e.head, view.RebuildPosition)
	}
	if view.Rebuilding || s.status == statusBuilding {
		view.BuildRate = v.buildRate.perSecond(now)
		view.ETA = v.buildRate.eta(behind, now)
	}
	return view
}

// counters are a view's, under the engine's lock.
type counters struct {
	applied, failures, rows uint64
	rate                    rate
	buildRate               rate  // positions caught up
	stuck                   stuck // zero unless the handler is
	dropped                 bool
	waiting                 []request // for the view to become live
}

func (c *counters) wait(r request) { c.waiting = append(c.waiting, r) }

// answer answers those who wait for a view to be resumed, or those who wait for
// it to be rebuilt.
func (c *counters) answer(resumed bool, err error) {
	c.waiting = slices.DeleteFunc(c.waiting, func(r request) bool {
		mine := (r.action != actionRebuild) == resumed
		if mine {
			r.answer(err)
		}
		return mine
	})
}

// answerReset answers those who wait for a view to be resumed when the log turned
// out to be another one: the view is live again, at 0. Rebuilds go on.
func (c *counters) answerReset() {
	c.waiting = slices.DeleteFunc(c.waiting, func(r request) bool {
		switch r.action {
		case actionRebuild:
			return false
		case actionSkip:
			r.answer(fmt.Errorf("view %q: no event is skipped: %w", r.view, errLogChanged))
		default:
			r.answer(nil)
		}
		return true
	})
}

func (c *counters) answerAll(err error) {
	c.answer(true, err)
	c.answer(false, err)
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

// eta is how long so many take at the rate, 0 while that can't be told.
func (r *rate) eta(n uint64, now time.Time) time.Duration {
	perSecond := r.perSecond(now)
	if perSecond < 1 {
		return 0
	}
	return time.Duration(float64(n) / perSecond * float64(time.Second))
}

func (r *rate) perSecond(now time.Time) float64 {
	if r.value == 0 {
		return 0
	}
	return r.value * math.Exp(-now.Sub(r.at).Seconds()/rateWindow.Seconds())
}
