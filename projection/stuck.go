package projection

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// stuck is a handler that has not returned for a while. It is also what other
// processes are told, under "stuck/<view>/<version>" in the catalog: only the
// engine's memory knows of the handler.
type stuck struct {
	Since    time.Time `json:"since"`
	Position uint64    `json:"position"`
}

// countStuck publishes which handlers have not returned for a while.
func (e *Engine) countStuck(now time.Time) error {
	e.stuck = slices.DeleteFunc(e.stuck, (*fold).ended)
	found := make(map[*view]stuck)
	for _, f := range e.stuck {
		found[f.build.view] = stuck{f.since, f.current.Position()}
	}
	for _, v := range e.all {
		for _, b := range v.builds {
			if f := b.fold; f != nil && f.seen%2 == 1 && now.Sub(f.since) >= e.watchEvery() {
				found[v] = stuck{f.since, f.at()}
			}
		}
	}
	return e.publishStuck(found)
}

// at is the position of the event at hand.
func (f *fold) at() uint64 {
	f.tx.mu.Lock()
	defer f.tx.mu.Unlock()
	return f.current.Position()
}

func (e *Engine) publishStuck(found map[*view]stuck) error {
	changed := slices.DeleteFunc(slices.Clone(e.all), func(v *view) bool { return v.stuck == found[v] })
	if len(changed) == 0 {
		return nil
	}
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		for _, v := range changed {
			if err := e.catalog.putStuck(txn, v, found[v]); err != nil {
				return err
			}
		}
		return nil
	})
	e.update(func() {
		for _, v := range changed {
			v.stuck = found[v]
		}
	})
	return err
}

// stuckFold returns a fold that was left behind in an old call of the view's
// handler, which still runs, nil if there is none.
func (e *Engine) stuckFold(v *view) *fold {
	for _, f := range e.stuck {
		if f.build.view == v && !f.ended() {
			return f
		}
	}
	return nil
}

func (e *Engine) isStuck(v *view) bool { return e.stuckFold(v) != nil }

func stuckKey(view, version string) []byte { return []byte(stuckPrefix + view + "/" + version) }

func (c catalog) putStuck(txn *lmdbenv.Txn, v *view, s stuck) error {
	key := stuckKey(v.name, v.version)
	if s == (stuck{}) {
		if err := txn.Del(c.db, key, nil); err != nil && !lmdbenv.IsNotFound(err) {
			return err
		}
		return nil
	}
	value, err := json.Marshal(stuck{s.Since.UTC().Truncate(time.Millisecond), s.Position})
	if err != nil {
		return err
	}
	return txn.Put(c.db, key, value, 0)
}

// forgetStuck removes what an engine has left that was killed.
func (c catalog) forgetStuck(txn *lmdbenv.Txn) error { return c.removeAll(txn, stuckPrefix) }

// stuck returns the zero value for a version whose handler is not known to be.
func (c catalog) stuck(txn *lmdbenv.Txn, view, version string) (s stuck, err error) {
	value, found, err := getKey(txn, c.db, stuckKey(view, version))
	if err != nil || !found {
		return s, err
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return s, catalogError(view, err)
	}
	return s, nil
}
