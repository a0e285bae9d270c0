package projection

import (
	"context"
	"fmt"
	"slices"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// settle brings what is stored, what is defined and the log together, before
// anybody reads.
func (e *Engine) settle() error {
	if err := e.env.Update(e.load); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.options.MaxWait)
	defer cancel()
	head, err := e.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("ask the log for its end: %w", err)
	}
	stale, err := e.stale(ctx, head)
	if err != nil {
		return fmt.Errorf("compare checkpoints with the log: %w", err)
	}
	return e.env.Update(func(txn *lmdbenv.Txn) error { return e.group(txn, head, stale) })
}

// load reads the catalog, opens every slot and makes the views that are new.
func (e *Engine) load(txn *lmdbenv.Txn) (err error) {
	if e.live, err = e.catalog.live(txn); err != nil {
		return err
	}
	stored, err := e.catalog.stored(txn)
	if err != nil {
		return err
	}
	for _, name := range stored {
		if e.views[name] == nil {
			e.logger.Info("view is stored but not defined, left as it is", "view", name)
			if err := e.freeze(txn, name); err != nil {
				return err
			}
		}
	}
	for _, name := range e.order {
		v := e.views[name]
		known := slices.Contains(stored, name)
		if known {
			if known, err = e.matchVersion(txn, v); err != nil {
				return err
			}
		}
		if err := e.loadView(txn, v, known); err != nil {
			return err
		}
	}
	return nil
}

// freeze gives the live build of a view that nobody advances any more a
// checkpoint of its own.
func (e *Engine) freeze(txn *lmdbenv.Txn, name string) error {
	slot, s, err := e.catalog.serving(txn, name)
	if err != nil || s.status != statusLive {
		return err
	}
	frozen := &build{view: &view{name: name}, slot: slot}
	return e.catalog.putState(txn, frozen, state{status: statusBuilding, at: e.live})
}

// matchVersion compares the stored builds of a view with its definition. Those
// of another version are dropped, and it reports false.
func (e *Engine) matchVersion(txn *lmdbenv.Txn, v *view) (same bool, err error) {
	serving, _, err := e.catalog.serving(txn, v.name)
	if err != nil {
		return false, err
	}
	stored, err := e.catalog.layout(txn, v.name, serving)
	if err != nil {
		return false, err
	}
	if stored.Version == v.version {
		return true, sameLayout(v, stored)
	}
	e.logger.Info("view has a new version, it is built again", "view", v.name, "from", stored.Version, "to", v.version)
	for slot := range byte(slots) {
		if _, found, err := e.catalog.state(txn, v.name, slot); err != nil || !found {
			if err != nil {
				return false, err
			}
			continue
		}
		if err := e.dispose(txn, v.name, slot); err != nil {
			return false, err
		}
	}
	return false, nil
}

func sameLayout(v *view, stored layout) error {
	changed := &LayoutError{View: v.name, Version: v.version}
	for _, line := range stored.Lines {
		if !slices.Contains(v.layout, line) {
			changed.Gone = append(changed.Gone, line)
		}
	}
	for _, line := range v.layout {
		if !slices.Contains(stored.Lines, line) {
			changed.New = append(changed.New, line)
		}
	}
	if len(changed.Gone)+len(changed.New) > 0 {
		return changed
	}
	return nil
}

// dispose removes a build with all its databases, whichever indexes it had.
// Handles are closed by it: only for builds that nobody has open.
func (e *Engine) dispose(txn *lmdbenv.Txn, name string, slot byte) error {
	stored, err := e.catalog.layout(txn, name, slot)
	if err != nil {
		return err
	}
	for _, database := range databases(name, slot, stored.Indexes) {
		db, err := txn.OpenDBI(database, 0)
		if lmdbenv.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := txn.Drop(db, true); err != nil {
			return err
		}
	}
	return e.catalog.remove(txn, name, slot)
}

// loadView opens a view's slots and reads their states.
func (e *Engine) loadView(txn *lmdbenv.Txn, v *view, known bool) (err error) {
	builds := new([slots]*build)
	e.builds[v.name] = builds
	for slot := range byte(slots) {
		b, err := openBuild(txn, v, slot)
		if err != nil {
			return err
		}
		builds[slot], e.states[b] = b, new(state)
	}
	if !known {
		*e.states[builds[0]] = state{status: statusBuilding}
		if err := e.catalog.putServing(txn, v.name, 0); err != nil {
			return err
		}
		return e.catalog.create(txn, builds[0], *e.states[builds[0]])
	}
	if e.serving[v.name], _, err = e.catalog.serving(txn, v.name); err != nil {
		return err
	}
	for _, b := range builds {
		s, found, err := e.catalog.state(txn, v.name, b.slot)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if s.status == statusLive {
			s.at = e.live
		}
		*e.states[b] = s
		if s.parked != nil {
			e.logger.Warn("view is parked", "view", v.name, "position", s.parked.Position, "type", s.parked.Type, "error", s.parked.Message)
		}
	}
	return nil
}

// stale tells which checkpoints the log does not confirm.
func (e *Engine) stale(ctx context.Context, head event.Head) (map[checkpoint]bool, error) {
	stale := make(map[checkpoint]bool)
	check := func(c checkpoint) error {
		if _, done := stale[c]; done {
			return nil
		}
		agrees, err := e.confirmed(ctx, head, c)
		stale[c] = !agrees
		return err
	}
	if err := check(e.live); err != nil {
		return nil, err
	}
	for _, s := range e.states {
		if s.status == unused {
			continue
		}
		if err := check(s.at); err != nil {
			return nil, err
		}
	}
	return stale, nil
}

// confirmed reports whether the log has that event at that position.
func (e *Engine) confirmed(ctx context.Context, head event.Head, c checkpoint) (bool, error) {
	if c.position == 0 {
		return true, nil
	}
	if c.store != head.Store || c.position > head.Position {
		return false, nil
	}
	if c.position == head.Position {
		return c.id == head.ID, nil
	}
	page, err := e.log.ReadPage(ctx, event.Selection{After: c.position - 1, Limit: 1}, event.PageOptions{Store: c.store})
	if err != nil {
		return false, err
	}
	for found, err := range page.Events() {
		if err != nil {
			return false, err
		}
		return found.Position() == c.position && found.ID() == c.id, nil
	}
	return false, nil
}

// group resets what is stale and decides which builds are live: of those that
// are read from and can advance, the ones that are furthest.
func (e *Engine) group(txn *lmdbenv.Txn, head event.Head, stale map[checkpoint]bool) error {
	if stale[e.live] {
		e.logger.Warn("the log is another one, or behind: views are built again from 0",
			"store", head.Store, "head", head.Position, "expected_store", e.live.store, "expected_position", e.live.position)
		e.live = checkpoint{}
	}
	e.live.store = head.Store
	var furthest *state
	for b, s := range e.states {
		if s.status == unused {
			continue
		}
		if stale[s.at] {
			e.logger.Warn("view is built again from 0", "view", b.view.name, "was_at", s.at.position)
			if err := b.clear(txn); err != nil {
				return err
			}
			*s = state{status: statusBuilding}
		}
		s.at.store = head.Store
		if e.serves(b) && s.status != statusParked && (furthest == nil || s.at.position > furthest.at.position) {
			furthest = s
		}
	}
	if furthest != nil {
		e.live = furthest.at
	}
	for b, s := range e.states {
		if s.status == unused {
			continue
		}
		if e.serves(b) && s.status != statusParked {
			s.status = statusBuilding
			if s.at == e.live {
				s.status = statusLive
			}
		}
		if err := e.catalog.putState(txn, b, *s); err != nil {
			return err
		}
		if err := e.countRows(txn, b); err != nil {
			return err
		}
	}
	e.head = head.Position
	return e.catalog.putLive(txn, e.live)
}

// serves reports whether the view is read from this build.
func (e *Engine) serves(b *build) bool { return e.serving[b.view.name] == b.slot }
