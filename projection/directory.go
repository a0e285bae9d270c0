package projection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Directory is a views directory read by another process than that of its
// engine, which may have it open meanwhile. It needs no definitions.
type Directory struct {
	dir     string
	env     *lmdbenv.Env
	catalog catalog
}

// mostBuilds is how many builds a directory is listed with: a handle is open for
// each of them until the transaction ends.
const mostBuilds = 256 * slots

// OpenDirectory opens the views in dir for reading. In the process of the
// engine it is refused: LMDB opens a directory once.
func OpenDirectory(dir string) (*Directory, error) {
	if lmdbenv.OpenHere(dir) {
		return nil, fmt.Errorf("views in %q: %w: ask the engine itself", dir, &lmdbenv.LockedError{Dir: dir, Same: true})
	}
	env, err := lmdbenv.Open(dir, lmdbenv.Options{Kind: environmentKind, Format: environmentFormat, MaxDBs: mostBuilds, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("views in %q: %w", dir, err)
	}
	return &Directory{dir: dir, env: env, catalog: catalog{db: env.Meta()}}, nil
}

// Close closes the directory.
func (d *Directory) Close() error { return d.env.Close() }

// Stored is a version of a view as it is stored.
type Stored struct {
	View, Version string
	// Status is "live", "building" (it catches up, or has no definition any
	// more), "parked" or "rebuilding" (a build that is to replace another one
	// of the same version).
	Status string
	// Serving is true for the version that the view is read from.
	Serving bool
	// Position is what it has applied, Behind how many events the log has
	// beyond, as far as the engine had heard when it last stored something.
	Position, Behind uint64
	Rows             uint64
	// BuildRate is how many positions a second it has caught up lately, and ETA
	// when it will be there at this rate: as of when the engine last stored
	// something of it, and less from then on. Both are 0 while nothing catches
	// up, ETA also as long as it can't be told.
	BuildRate float64
	ETA       time.Duration
	Parked    *Parked // nil unless it is parked
	// StuckSince is since when its handler, or that of its rebuild, has not
	// returned from the event at StuckAt. It is zero unless that has been for a
	// second, and stays when the engine's process is killed until the next one
	// opens the views.
	StuckSince time.Time
	StuckAt    uint64
	Skipped    []Skipped // in the order of the log
}

// List returns every version that is stored, sorted by view, the position of the
// live views, and the log's last one as the engine had heard when it last stored
// something, all as of one moment.
func (d *Directory) List() (versions []Stored, position, head uint64, err error) {
	err = d.env.View(func(txn *lmdbenv.Txn) error {
		names, err := d.catalog.stored(txn)
		if err != nil {
			return err
		}
		live, err := d.catalog.live(txn)
		if err != nil {
			return err
		}
		position = live.position
		if head, err = d.catalog.head(txn, live); err != nil {
			return err
		}
		for _, name := range names {
			held, err := d.catalog.slots(txn, name)
			if err != nil {
				return err
			}
			for _, slot := range held {
				stored, err := d.read(txn, name, slot, live, head)
				if err != nil {
					return err
				}
				versions = append(versions, stored)
			}
		}
		return nil
	})
	return versions, position, head, err
}

func (d *Directory) read(txn *lmdbenv.Txn, name string, slot byte, live checkpoint, head uint64) (stored Stored, err error) {
	s, _, err := d.catalog.state(txn, name, slot)
	if err != nil {
		return stored, err
	}
	l, err := d.catalog.layout(txn, name, slot)
	if err != nil {
		return stored, err
	}
	serving, found, err := d.catalog.servingSlot(txn, name)
	if err != nil {
		return stored, err
	}
	skips, err := d.catalog.skips(txn, name, l.Version)
	if err != nil {
		return stored, err
	}
	handler, err := d.catalog.stuck(txn, name, l.Version)
	if err != nil {
		return stored, err
	}
	stored = Stored{View: name, Version: l.Version, Status: s.status.String(), Serving: found && serving == slot, Position: s.at.position, Parked: s.parked, StuckSince: handler.Since, StuckAt: handler.Position}
	if s.status == statusLive {
		stored.Position = live.position
	}
	stored.Behind = head - min(head, stored.Position)
	if s.catchesUp() {
		caughtUp, err := d.catalog.pace(txn, name, slot)
		if err != nil {
			return stored, err
		}
		now := time.Now()
		stored.BuildRate, stored.ETA = caughtUp.perSecond(now), caughtUp.eta(stored.Behind, now)
	}
	db, err := txn.OpenDBI(databases(name, slot, nil)[0], 0)
	if err != nil {
		return stored, err
	}
	if stored.Rows, err = entries(txn, db); err != nil {
		return stored, err
	}
	for _, at := range slices.Sorted(maps.Keys(skips)) {
		stored.Skipped = append(stored.Skipped, skips[at])
	}
	return stored, nil
}

// Compare is [Engine.Compare] for what is stored. It needs no code of either
// version.
func (d *Directory) Compare(ctx context.Context, view, a, b string) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		ended := false
		err := d.env.View(func(txn *lmdbenv.Txn) error {
			var sides [2]*side
			for i, version := range []string{a, b} {
				var err error
				if sides[i], err = d.side(txn, view, version); err != nil {
					return err
				}
			}
			return compare(ctx, txn, sides[0], sides[1], func(difference Difference) bool {
				ended = !yield(difference, nil)
				return !ended
			})
		})
		if err != nil && !ended {
			yield(Difference{}, err)
		}
	}
}

// side finds a version that is live.
func (d *Directory) side(txn *lmdbenv.Txn, view, version string) (*side, error) {
	held, err := d.catalog.slots(txn, view)
	if err != nil {
		return nil, err
	}
	live, err := d.catalog.live(txn)
	if err != nil {
		return nil, err
	}
	for _, slot := range held {
		l, err := d.catalog.layout(txn, view, slot)
		if err != nil {
			return nil, err
		}
		s, _, err := d.catalog.state(txn, view, slot)
		if err != nil {
			return nil, err
		}
		if l.Version != version || s.status == statusRebuilding {
			continue
		}
		if s.status != statusLive {
			return nil, s.behind(view+"@"+version, live)
		}
		bfbs, found, err := getKey(txn, d.catalog.db, slotKey(schemaPrefix, view, slot))
		if err != nil || !found {
			return nil, catalogError(view, err)
		}
		db, err := txn.OpenDBI(databases(view, slot, nil)[0], 0)
		if err != nil {
			return nil, err
		}
		return newSide(l.Table(), slices.Clone(bfbs), db), nil
	}
	return nil, &event.UnknownError{Kind: "view", Name: view + "@" + version}
}

// ErrUnanswered means that no engine has served a request in time. It is not
// lost: the next engine that opens the views serves it.
var ErrUnanswered = errors.New("no engine has answered: the request stays, and is served when one has the views open")

// Ask asks the engine that has the views open, or the next one to open them,
// and waits for its answer until ctx ends, which is an [ErrUnanswered]. The
// answer comes when a switch or a drop is done, and when the others have begun;
// [Directory.List] tells how far they are.
func (d *Directory) Ask(ctx context.Context, what Ask) error {
	if err := what.validate(); err != nil {
		return err
	}
	id, err := d.leave(what)
	if err != nil {
		return fmt.Errorf("views in %q: leave the request: %w", d.dir, err)
	}
	return d.await(ctx, id)
}

// leave writes a request beside the engine: LMDB lets one process write at a
// time. The environment is opened for writing only as long as it takes.
func (d *Directory) leave(what Ask) (id string, err error) {
	if err := d.env.Close(); err != nil {
		return "", err
	}
	o := lmdbenv.Options{Kind: environmentKind, Format: environmentFormat, MaxDBs: mostBuilds}
	writer, err := lmdbenv.Open(d.dir, o)
	if err != nil {
		return "", err
	}
	err = writer.Update(func(txn *lmdbenv.Txn) (err error) {
		id, err = catalog{db: writer.Meta()}.ask(txn, what)
		return err
	})
	if err := errors.Join(err, writer.Close()); err != nil {
		return "", err
	}
	o.ReadOnly = true
	if d.env, err = lmdbenv.Open(d.dir, o); err != nil {
		return "", err
	}
	d.catalog.db = d.env.Meta()
	return id, nil
}

// answerEvery is how often an answer is looked for.
const answerEvery = 50 * time.Millisecond

func (d *Directory) await(ctx context.Context, id string) error {
	ticker := time.NewTicker(answerEvery)
	defer ticker.Stop()
	for {
		var got answer
		found := false
		err := d.env.View(func(txn *lmdbenv.Txn) error {
			value, ok, err := getKey(txn, d.catalog.db, []byte(answerPrefix+id))
			if err != nil || !ok {
				return err
			}
			found = true
			return json.Unmarshal(value, &got)
		})
		switch {
		case err != nil:
			return err
		case found && got.Error != "":
			return errors.New(got.Error)
		case found:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ErrUnanswered
		}
	}
}
