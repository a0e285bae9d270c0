package projection

import (
	"strconv"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// build is one build of a version of a view: a place for its rows and index
// entries, and what was folded for it and is not stored yet. Each version has
// two, so that one can be built beside the other.
type build struct {
	view    *view
	slot    byte
	rows    lmdbenv.DBI
	indexes []lmdbenv.DBI // like view.indexes

	// What follows belongs to the follower, and to the fold it has started.

	overlay *overlay
	// reached is how far the overlay is, failed why it is no further, and
	// applied how many events were handed to the handler for it.
	reached checkpoint
	failed  *HandlerError
	applied uint64
	fold    *fold // in flight, or nil
	// closeAfter is when the live views may wait for this build again.
	closeAfter time.Time
	// away is how long it stays away after it was too slow for the live views
	// the last time, joinAfter until when, and joined when it came back.
	away              time.Duration
	joinAfter, joined time.Time
	// nextBuild is when it may read on, as Options.BuildRate has it.
	nextBuild time.Time
}

const (
	// places is how many builds a version has room for.
	places = 2
	// slots is how many builds a view has room for, those of all versions
	// together.
	slots = 16
)

// databases are the names of a build's databases, the rows' first.
func databases(view string, slot byte, indexes []string) []string {
	prefix := view + "/" + strconv.Itoa(int(slot))
	names := []string{prefix}
	for _, index := range indexes {
		names = append(names, prefix+"/"+index)
	}
	return names
}

// name is that of the rows' database.
func (b *build) name() string { return databases(b.view.name, b.slot, nil)[0] }

func (v *view) indexNames() []string {
	names := make([]string, len(v.indexes))
	for i, index := range v.indexes {
		names[i] = index.Name
	}
	return names
}

// keyColumns are the columns of the rows' own order.
func (v *view) keyColumns() []Column { return []Column{v.key} }

// openBuild opens the build's databases, and makes those that do not exist;
// made is whether there were any.
func openBuild(txn *lmdbenv.Txn, v *view, slot byte) (b *build, made bool, err error) {
	b = &build{view: v, slot: slot}
	for i, name := range databases(v.name, slot, v.indexNames()) {
		db, err := txn.OpenDBI(name, 0)
		if lmdbenv.IsNotFound(err) {
			made = true
			db, err = txn.CreateDBI(name)
		}
		switch {
		case err != nil:
			return nil, false, err
		case i == 0:
			b.rows = db
		default:
			b.indexes = append(b.indexes, db)
		}
	}
	b.overlay = newOverlay(b)
	return b, made, nil
}

// entries counts what a database holds.
func entries(txn *lmdbenv.Txn, db lmdbenv.DBI) (uint64, error) {
	stat, err := txn.Stat(db)
	return stat.Entries, err
}

// clear removes every row and index entry. Readers in flight keep theirs.
func (b *build) clear(txn *lmdbenv.Txn) error {
	if err := txn.Drop(b.rows, false); err != nil {
		return err
	}
	for _, db := range b.indexes {
		if err := txn.Drop(db, false); err != nil {
			return err
		}
	}
	return nil
}

// take takes what was folded, to be stored.
func (b *build) take() *pending {
	p := b.overlay.take()
	p.at, p.failed, p.applied = b.reached, b.failed, b.applied
	b.applied = 0
	return p
}

// mayKeep reports whether a build that goes on may keep the rows that it has in
// memory, as these take less than so many bytes.
func (b *build) mayKeep(bytes int) bool {
	return b.failed == nil && !b.overlay.lent && b.overlay.size() < bytes
}

// goOn lets a build go on behind what was stored.
func (b *build) goOn(bytes int) {
	if !b.mayKeep(bytes) {
		b.restart(b.reached)
	}
}

// restart forgets what was folded and not stored. Nothing of the build may be
// under way to be stored.
func (b *build) restart(at checkpoint) {
	b.overlay.reset()
	b.reached, b.failed, b.applied = at, nil, 0
}
