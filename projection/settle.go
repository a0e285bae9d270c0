package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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

// load reads the catalog, opens every slot and makes the versions that are new.
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
			if _, err := e.match(txn, name); err != nil {
				return err
			}
		}
	}
	for _, name := range e.order {
		if err := e.loadName(txn, name); err != nil {
			return err
		}
	}
	return errors.Join(e.sweep(txn), e.catalog.forgetStuck(txn))
}

// match finds out which version each slot of a view holds. Versions without a
// definition are left as they are: nobody advances them any more, so those that
// were live get a checkpoint of their own.
func (e *Engine) match(txn *lmdbenv.Txn, name string) (versions map[byte]*view, err error) {
	found, err := e.catalog.slots(txn, name)
	if err != nil {
		return nil, err
	}
	versions = make(map[byte]*view, len(found))
	for _, slot := range found {
		stored, err := e.catalog.layout(txn, name, slot)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(e.views[name], func(v *view) bool { return v.version == stored.Version })
		if at >= 0 {
			versions[slot] = e.views[name][at]
			if err := e.catalog.sameLayout(txn, versions[slot], slot, stored); err != nil {
				return nil, err
			}
			continue
		}
		versions[slot] = nil
		if e.views[name] != nil {
			e.logger.Info("version is stored but not defined, left as it is until it is dropped", "view", name, "version", stored.Version)
		}
		if err := e.freeze(txn, name, slot); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

func (e *Engine) freeze(txn *lmdbenv.Txn, name string, slot byte) error {
	s, _, err := e.catalog.state(txn, name, slot)
	if err != nil || s.status != statusLive {
		return err
	}
	return e.catalog.putState(txn, &build{view: &view{name: name}, slot: slot}, state{status: statusBuilding, at: e.live})
}

// loadName opens all versions of a view and decides which one it is read from:
// the one that it was, or the first when that has no definition any more.
func (e *Engine) loadName(txn *lmdbenv.Txn, name string) error {
	held, err := e.match(txn, name)
	if err != nil {
		return err
	}
	var free []byte
	for slot := range byte(slots) {
		if _, taken := held[slot]; !taken {
			free = append(free, slot)
		}
	}
	for _, v := range e.views[name] {
		var mine []byte
		for _, slot := range slices.Sorted(maps.Keys(held)) {
			if held[slot] == v {
				mine = append(mine, slot)
			}
		}
		missing := max(0, places-len(mine))
		if len(free) < missing || len(mine) > places {
			return fmt.Errorf("view %q: there is no room for version %q beside what is stored: drop versions that are not needed", name, v.version)
		}
		mine, free = append(mine, free[:missing]...), free[missing:]
		if err := e.loadVersion(txn, v, mine); err != nil {
			return err
		}
	}
	e.serving[name] = e.views[name][0]
	if slot, found, err := e.catalog.servingSlot(txn, name); err != nil {
		return err
	} else if found && held[slot] != nil {
		e.serving[name] = held[slot]
	}
	return e.catalog.putServing(txn, name, e.serving[name].main.slot)
}

// loadVersion opens a version's builds, reads their states, and makes the main
// one when there is none.
func (e *Engine) loadVersion(txn *lmdbenv.Txn, v *view, in []byte) (err error) {
	if v.skips, err = e.catalog.skips(txn, v.name, v.version); err != nil {
		return err
	}
	for i, slot := range in {
		b, made, err := openBuild(txn, v, slot)
		if err != nil {
			return err
		}
		v.builds[i], e.states[b] = b, new(state)
		s, found, err := e.catalog.state(txn, v.name, slot)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if made {
			if s, err = e.lost(txn, b, s); err != nil {
				return err
			}
		}
		if s.status == statusLive {
			s.at = e.live
		}
		*e.states[b] = s
		if s.status != statusRebuilding {
			v.main = b
		}
		if s.parked != nil {
			e.logger.Warn("view is parked", "view", v.name, "version", v.version, "position", s.parked.Position, "type", s.parked.Type, "error", s.parked.Message)
		}
	}
	if v.main != nil {
		return nil
	}
	for _, b := range v.builds {
		if e.states[b].status == unused {
			v.main = b
		}
	}
	if v.main == nil {
		return catalogError(v.name, nil)
	}
	*e.states[v.main] = state{status: statusBuilding}
	return e.catalog.create(txn, v.main, *e.states[v.main])
}

// lost empties a build of which a database is gone, as a damaged name makes it,
// so that it is built again from the beginning.
func (e *Engine) lost(txn *lmdbenv.Txn, b *build, was state) (state, error) {
	e.logger.Warn("view has lost rows or an index, it is built again", "view", b.view.name, "version", b.view.version)
	now := state{status: statusBuilding}
	if was.status == statusRebuilding {
		now.status = statusRebuilding
	}
	return now, errors.Join(b.clear(txn), e.catalog.putState(txn, b, now))
}

// sweep removes databases that belong to no build: those of versions that were
// dropped while their handles were in use.
func (e *Engine) sweep(txn *lmdbenv.Txn) error {
	wanted := make(map[string]bool)
	for b := range e.states {
		for _, database := range databases(b.view.name, b.slot, b.view.indexNames()) {
			wanted[database] = true
		}
	}
	stored, err := e.catalog.stored(txn)
	if err != nil {
		return err
	}
	for _, name := range stored {
		found, err := e.catalog.slots(txn, name)
		if err != nil {
			return err
		}
		for _, slot := range found {
			held, err := e.catalog.layout(txn, name, slot)
			if err != nil {
				return err
			}
			for _, database := range databases(name, slot, held.Indexes) {
				wanted[database] = true
			}
		}
	}
	return e.removeOthers(txn, wanted)
}

func (e *Engine) removeOthers(txn *lmdbenv.Txn, wanted map[string]bool) error {
	root, err := txn.OpenRoot(0)
	if err != nil {
		return err
	}
	cursor, err := txn.OpenCursor(root)
	if err != nil {
		return err
	}
	var others []string
	key, _, err := cursor.Get(nil, nil, lmdbenv.First)
	for ; err == nil; key, _, err = cursor.Get(nil, nil, lmdbenv.Next) {
		if name := string(key); strings.Contains(name, "/") && !wanted[name] {
			others = append(others, name)
		}
	}
	cursor.Close()
	if !lmdbenv.IsNotFound(err) {
		return err
	}
	for _, name := range others {
		if err := removeDatabase(txn, name); err != nil {
			return err
		}
	}
	return nil
}

// removeDatabase removes a database that nobody has open, and its entry.
func removeDatabase(txn *lmdbenv.Txn, name string) error {
	db, err := txn.OpenDBI(name, 0)
	if lmdbenv.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return txn.Drop(db, true)
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
			e.logger.Warn("view is built again from 0", "view", b.view.name, "version", b.view.version, "was_at", s.at.position)
			if err := errors.Join(b.clear(txn), e.catalog.removeSkips(txn, b.view.name, b.view.version)); err != nil {
				return err
			}
			b.view.skips = nil
			*s = state{status: max(statusBuilding, s.status)}
			if s.status == statusParked {
				s.status = statusBuilding
			}
		}
		s.at.store = head.Store
		if b == e.serving[b.view.name].main && s.status != statusParked && (furthest == nil || s.at.position > furthest.at.position) {
			furthest = s
		}
	}
	if furthest != nil {
		e.live = furthest.at
	}
	for b, s := range e.states {
		if s.status == statusLive || s.status == statusBuilding {
			s.status = statusBuilding
			if s.at == e.live {
				s.status = statusLive
			}
		}
		if err := e.enter(txn, b, *s); err != nil {
			return err
		}
	}
	e.head = head.Position
	e.batch = batch{to: e.live}
	return e.catalog.putLive(txn, e.live, e.head)
}

// enter stores a build's state as it is at open, and counts its rows.
func (e *Engine) enter(txn *lmdbenv.Txn, b *build, s state) (err error) {
	if s.status == unused {
		return nil
	}
	b.restart(s.at)
	if b == b.view.main {
		if b.view.rows, err = entries(txn, b.rows); err != nil {
			return err
		}
	}
	return e.catalog.putState(txn, b, s)
}

// serves reports whether the view is read from this version.
func (e *Engine) serves(v *view) bool { return e.serving[v.name] == v }
