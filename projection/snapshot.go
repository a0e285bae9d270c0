package projection

import (
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Snapshot is every live view as of one position. It is valid until the
// function it was passed to returns, and belongs to that function's goroutine.
type Snapshot struct {
	engine *Engine
	txn    *lmdbenv.Txn // nil when expired
	live   checkpoint
	views  []*View // opened ones, to expire them
}

// Position is the last position that the snapshot's views have applied.
func (s *Snapshot) Position() uint64 { return s.live.position }

// Store is the store that Position belongs to, zero before anything was applied.
func (s *Snapshot) Store() event.ID { return s.live.store }

// View returns a view as of the snapshot's position: in the version that
// serves, or, when name is "view@version", in that one. A name that the engine
// has no definition of fails with [*event.UnknownError], a view that is parked or
// still being built with [*event.BehindError].
func (s *Snapshot) View(name string) (*View, error) {
	if s.txn == nil {
		return nil, fmt.Errorf("snapshot %w", errExpired)
	}
	for _, v := range s.views {
		if v.name == name {
			return v, nil
		}
	}
	b, state, err := s.build(name)
	if err != nil {
		return nil, err
	}
	if state.status != statusLive {
		return nil, state.behind(name, s.live)
	}
	v := &View{name: name, of: b.view, build: b, txn: s.txn, rows: lookup{engine: s.engine, txn: s.txn, build: b}}
	s.views = append(s.views, v)
	return v, nil
}

// build returns what a view is read from, as of the snapshot.
func (s *Snapshot) build(reference string) (*build, state, error) {
	name, version, versioned := strings.Cut(reference, "@")
	versions, ok := s.engine.views[name]
	if !ok {
		return nil, state{}, &event.UnknownError{Kind: "view", Name: name}
	}
	serving, _, err := s.engine.catalog.servingSlot(s.txn, name)
	if err != nil {
		return nil, state{}, err
	}
	for _, v := range versions {
		for _, b := range v.builds {
			if versioned && v.version != version || !versioned && b.slot != serving {
				continue
			}
			at, found, err := s.engine.catalog.state(s.txn, name, b.slot)
			if err != nil || found && at.status != statusRebuilding {
				return b, at, err
			}
		}
	}
	return nil, state{}, &event.UnknownError{Kind: "view", Name: reference}
}

// expire ends every use of the snapshot.
func (s *Snapshot) expire() {
	s.txn = nil
	for _, v := range s.views {
		v.txn = nil
	}
}

// View is the rows of one view inside a [Snapshot], with its lifetime.
type View struct {
	name  string // as it was asked for
	of    *view
	build *build
	txn   *lmdbenv.Txn
	rows  lookup
	key   []byte
}

// Get returns the row with that primary key as stored, a size-prefixed
// FlatBuffer in LMDB's map, and whether there is one. It is valid until the
// function that was passed the snapshot returns.
func (v *View) Get(pk Value) (row []byte, found bool, err error) {
	if err := v.usable(); err != nil {
		return nil, false, err
	}
	if err := v.of.key.accepts("primary key", pk); err != nil {
		return nil, false, err
	}
	v.key = appendValue(v.key[:0], pk)
	row, found, err = v.rows.row(v.key)
	if found && err == nil {
		err = v.sound(row)
	}
	if err != nil {
		return nil, false, err
	}
	return row, found, nil
}

// sound reports a row that is no FlatBuffer of the view's table: LMDB has no
// checksums, and nobody may read or be sent what a disk made of a row.
func (v *View) sound(row []byte) error {
	if err := v.of.plan.VerifySizePrefixed(row); err != nil {
		return v.damage("", "a stored row is no %s: %v", v.of.table, err)
	}
	return nil
}

// Len returns the number of rows.
func (v *View) Len() (uint64, error) {
	if err := v.usable(); err != nil {
		return 0, err
	}
	return entries(v.txn, v.build.rows)
}

// rowOf returns the row that an index entry stands for.
func (v *View) rowOf(key, value []byte) ([]byte, error) {
	pk, ok := entryPrimaryKey(key, value)
	if !ok {
		return nil, v.damage("", "an index entry has the value %x", value)
	}
	row, found, err := v.rows.row(pk)
	if err == nil && !found {
		err = v.damage("", "the entry %x of an index has no row", key)
	}
	return row, err
}

func (v *View) usable() error {
	if v.txn == nil {
		return fmt.Errorf("view %q %w", v.of.name, errExpired)
	}
	return nil
}
