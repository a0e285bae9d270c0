package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// action is what a request asks for. The words are stored and shown.
type action string

const (
	actionRebuild action = "rebuild"
	actionResume  action = "resume"
	actionSkip    action = "skip"
	actionSwitch  action = "switch"
	actionDrop    action = "drop"
)

// request asks the follower, the only writer, for something.
type request struct {
	// id is that of the entry which another process left, "" for none.
	id       string
	action   action
	view     *view
	position uint64 // of the event to skip
	done     chan error
}

func (r request) answer(err error) { r.done <- err }

// Rebuild builds a view again from the log's beginning, beside the one that is
// there, which is read meanwhile and goes on. When the new build reaches the
// others' position it takes over, in one transaction, and Rebuild returns. When
// the handler fails, the new build is thrown away, the view stays what it was,
// and Rebuild returns the [*HandlerError]. Events that were skipped are left
// out again.
//
// view is the name of a view, or "view@version" for a version that does not
// serve. The end of ctx ends the waiting, not the rebuild, which also goes on
// after a restart. A second Rebuild of the same view joins the first.
func (e *Engine) Rebuild(ctx context.Context, view string) error {
	return e.ask(ctx, view, request{action: actionRebuild})
}

// Resume lets a parked view go on with the event that it is parked at, after
// its handler was repaired, and returns when it is live again, or the
// [*HandlerError] when it is parked again. The end of ctx ends the waiting
// only. A view that is not parked is left alone. view is as for
// [Engine.Rebuild].
func (e *Engine) Resume(ctx context.Context, view string) error {
	return e.ask(ctx, view, request{action: actionResume})
}

// Skip lets a parked view go on behind the event that it is parked at, which
// has to be the one at position: nobody skips an event that he has not seen.
// That the version leaves out this event is stored with it, listed by
// [Engine.Stats], and holds for its rebuilds. Skip returns like
// [Engine.Resume].
func (e *Engine) Skip(ctx context.Context, view string, position uint64) error {
	return e.ask(ctx, view, request{action: actionSkip, position: position})
}

// Switch lets a view be read from another version of it, which must be live:
// one that is still catching up, or parked, is refused with an
// [*event.BehindError]. It is one key written: each snapshot sees one version,
// nobody waits, and as both versions go on, the way back is the same.
func (e *Engine) Switch(ctx context.Context, view, version string) error {
	return e.ask(ctx, view+"@"+version, request{action: actionSwitch})
}

// Drop removes a version of a view, its rows and what it skipped. The one that
// serves is refused with an [*InUseError], unless it is the last one of a view
// that has no definition any more. A version that still has a definition is
// built again at the next Open.
func (e *Engine) Drop(ctx context.Context, view, version string) error {
	v, err := e.find(view + "@" + version)
	if err != nil {
		v = undefined(view, version)
	}
	return e.enqueue(ctx, request{action: actionDrop, view: v})
}

func (e *Engine) ask(ctx context.Context, reference string, r request) error {
	v, err := e.find(reference)
	if err != nil {
		return err
	}
	r.view = v
	return e.enqueue(ctx, r)
}

// undefined stands for a version that may be stored and has no definition here.
func undefined(name, version string) *view { return &view{name: name, version: version} }

func (e *Engine) enqueue(ctx context.Context, r request) error {
	r.done = make(chan error, 1)
	e.mu.Lock()
	if e.closed || e.stopped {
		e.mu.Unlock()
		return ErrClosed
	}
	e.requests = append(e.requests, r)
	e.mu.Unlock()
	e.nudge()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("view %q: %s goes on: %w", r.view, r.action, context.Cause(ctx))
	}
}

// serveAll starts what was asked for since the last time.
func (e *Engine) serveAll() error {
	e.mu.Lock()
	requests := e.requests
	e.requests = nil
	e.mu.Unlock()
	if len(requests) == 0 {
		return nil
	}
	err := e.flush() // so that every live view is where its checkpoint is
	if errors.Is(err, errStartedOver) {
		err = nil
	}
	for _, r := range requests {
		if err == nil {
			err = e.serve(r)
		}
		if err != nil {
			r.answer(err)
		}
	}
	return err
}

// serve does what a request asks for, or starts it: then the answer comes when
// it is done. An error is trouble with the environment.
func (e *Engine) serve(r request) error {
	var refused, err error
	switch r.action {
	case actionSwitch:
		refused, err = e.serveSwitch(r)
	case actionDrop:
		refused, err = e.serveDrop(r)
	default:
		return e.serveBuild(r)
	}
	if err != nil {
		return fmt.Errorf("view %q: %s: %w", r.view, r.action, err)
	}
	r.answer(refused)
	return nil
}

// act does what a request asks for, and answers another process that did, in
// one transaction.
func (e *Engine) act(r request, do func(txn *lmdbenv.Txn) error) error {
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		if err := do(txn); err != nil || r.id == "" {
			return err
		}
		return e.catalog.answer(txn, r.id, nil)
	})
	if err != nil {
		return err
	}
	return e.at(afterRequest)
}

// serveBuild starts what ends with a view being live.
func (e *Engine) serveBuild(r request) error {
	v := r.view
	if refused := e.refuseBuild(r); refused != nil {
		r.answer(refused)
		return nil
	}
	b, next := v.spare(), state{status: statusRebuilding, at: checkpoint{store: e.live.store}}
	if r.action != actionRebuild {
		b, next = v.main, state{status: statusBuilding, at: e.states[v.main].at}
	}
	switch s := e.states[b]; {
	case s.catchesUp():
		e.update(func() { v.wait(r) })
		return nil
	case r.action != actionRebuild && s.status != statusParked:
		r.answer(nil)
		return nil
	}
	var skipped *Skipped
	if r.action == actionSkip {
		parked := *e.states[b].parked
		skipped = &Skipped{Parked: parked, SkippedAt: time.Now().UTC().Truncate(time.Millisecond)}
		next.at.position, next.at.id = parked.Position, parked.Event
	}
	err := e.act(r, func(txn *lmdbenv.Txn) error {
		if skipped != nil {
			if err := e.catalog.putSkip(txn, v.name, v.version, *skipped); err != nil {
				return err
			}
		}
		if r.action != actionRebuild {
			return e.catalog.putState(txn, b, next)
		}
		if err := b.clear(txn); err != nil {
			return err
		}
		return e.catalog.create(txn, b, next)
	})
	if err != nil {
		return fmt.Errorf("view %q: start to build: %w", v, err)
	}
	e.logger.Info("view is being built", "view", v.name, "version", v.version, "why", string(r.action), "from", next.at.position, "to", e.live.position)
	b.restart(next.at)
	e.update(func() {
		*e.states[b] = next
		v.buildRate = rate{}
		if skipped != nil {
			v.skips = maps.Clone(v.skips)
			if v.skips == nil {
				v.skips = make(map[uint64]Skipped)
			}
			v.skips[skipped.Position] = *skipped
		}
		v.wait(r)
	})
	return nil
}

// refuseBuild says why a view can't be resumed, rebuilt, or skip an event.
func (e *Engine) refuseBuild(r request) error {
	v := r.view
	if v.dropped {
		return &event.UnknownError{Kind: "view", Name: v.String()}
	}
	if f := e.stuckFold(v); f != nil {
		return fmt.Errorf("view %q: %w", v, &StuckError{After: time.Since(f.since).Round(time.Millisecond)})
	}
	parked := e.states[v.main].parked
	switch {
	case r.action != actionSkip:
		return nil
	case parked == nil:
		return &event.ArgumentError{Argument: "view", Message: fmt.Sprintf("%q is not parked, so it has no event to skip", v)}
	case parked.Event.IsZero():
		return fmt.Errorf("view %q is damaged, no event is at fault: rebuild it: %s", v, parked.Message)
	case parked.Position != r.position:
		return &event.ArgumentError{Argument: "position", Message: fmt.Sprintf("%q is parked at position %d, not at %d", v, parked.Position, r.position)}
	}
	return nil
}

func (e *Engine) serveSwitch(r request) (refused, err error) {
	v := r.view
	s := e.states[v.main]
	switch {
	case v.dropped:
		return &event.UnknownError{Kind: "view", Name: v.String()}, nil
	case e.serves(v):
		return nil, nil
	case s.status != statusLive:
		return s.behind(v.String(), e.live), nil
	}
	err = e.act(r, func(txn *lmdbenv.Txn) error {
		if err := e.catalog.putServing(txn, v.name, v.main.slot); err != nil {
			return err
		}
		return e.at(beforeSwitch)
	})
	if err != nil {
		return nil, err
	}
	e.logger.Info("view has another version", "view", v.name, "from", e.serving[v.name].version, "to", v.version, "position", e.live.position)
	e.update(func() { e.serving[v.name] = v })
	return nil, nil
}

func (e *Engine) serveDrop(r request) (refused, err error) {
	v := r.view
	if e.serves(v) {
		return &InUseError{View: v.name, Version: v.version}, nil
	}
	if v.main == nil {
		return e.dropUndefined(r)
	}
	e.discard(v.builds[:]...)
	err = e.act(r, func(txn *lmdbenv.Txn) error {
		for _, b := range v.builds {
			if err := b.clear(txn); err != nil {
				return err
			}
			if err := e.catalog.remove(txn, v.name, b.slot); err != nil {
				return err
			}
		}
		return e.catalog.removeSkips(txn, v.name, v.version)
	})
	if err != nil {
		return nil, err
	}
	if e.closing != nil && e.closing.view == v {
		e.closing = nil
	}
	for _, b := range v.builds {
		b.restart(checkpoint{})
	}
	e.logger.Info("version is dropped", "view", v.name, "version", v.version)
	e.update(func() {
		for _, b := range v.builds {
			*e.states[b] = state{}
		}
		v.dropped, v.skips, v.rows = true, nil, 0
		v.answerAll(&event.UnknownError{Kind: "view", Name: v.String()})
	})
	return nil, nil
}

// dropUndefined removes a version whose databases nobody has open. One that a
// view without any definition was last read from goes last: the view ends with
// it.
func (e *Engine) dropUndefined(r request) (refused, err error) {
	name, version := r.view.name, r.view.version
	err = e.act(r, func(txn *lmdbenv.Txn) error {
		mine, others, err := e.storedSlots(txn, name, version)
		if err != nil {
			return err
		}
		serving, found, err := e.catalog.servingSlot(txn, name)
		if err != nil {
			return err
		}
		_, serves := mine[serving]
		switch {
		case len(mine) == 0:
			refused = &event.UnknownError{Kind: "view", Name: name + "@" + version}
		case found && serves && len(others) > 0:
			refused = fmt.Errorf("%w, or drop the others before", &InUseError{View: name, Version: version})
		}
		if refused != nil {
			return refused
		}
		for slot, stored := range mine {
			for _, database := range databases(name, slot, stored.Indexes) {
				if err := removeDatabase(txn, database); err != nil {
					return err
				}
			}
			if err := e.catalog.remove(txn, name, slot); err != nil {
				return err
			}
		}
		if found && len(others) == 0 {
			if err := e.catalog.removeServing(txn, name); err != nil {
				return err
			}
		}
		return e.catalog.removeSkips(txn, name, version)
	})
	if refused != nil {
		return refused, nil
	}
	return nil, err
}

// storedSlots returns the slots of a view that hold a version, and those that
// hold others.
func (e *Engine) storedSlots(txn *lmdbenv.Txn, name, version string) (mine, others map[byte]layout, err error) {
	held, err := e.catalog.slots(txn, name)
	if err != nil {
		return nil, nil, err
	}
	mine, others = make(map[byte]layout), make(map[byte]layout)
	for _, slot := range held {
		stored, err := e.catalog.layout(txn, name, slot)
		if err != nil {
			return nil, nil, err
		}
		if stored.Version == version {
			mine[slot] = stored
		} else {
			others[slot] = stored
		}
	}
	return mine, others, nil
}
