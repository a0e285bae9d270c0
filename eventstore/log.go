package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// eventLog is the environment that holds the records.
type eventLog struct {
	env       *lmdbenv.Env
	records   lmdbenv.DBI
	positions lmdbenv.DBI
	schemas   lmdbenv.DBI
	store     event.ID
	mapped    walk.Map
	places    walk.Places
	// last is the id of the last event, as of open and of this store's own
	// commits. It is the folder's.
	last event.ID
}

// openLog opens the log in dir; of the options it takes how it is opened.
func openLog(dir string, o lmdbenv.Options) (*eventLog, error) {
	o.Kind, o.Format = logKind, format
	env, err := lmdbenv.Open(dir, o)
	if err != nil {
		return nil, err
	}
	l := &eventLog{env: env}
	open, err := databaseOpener(env, storeKey, o.ReadOnly)
	if err != nil {
		return nil, errors.Join(err, env.Close())
	}
	for name, db := range map[string]*lmdbenv.DBI{recordsName: &l.records, "positions": &l.positions, "schemas": &l.schemas} {
		if *db, err = open(name); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %q in %q: %w", name, dir, err), env.Close())
		}
	}
	identify := l.identify
	if o.ReadOnly {
		identify = l.identified
	}
	if err := identify(); err != nil {
		return nil, errors.Join(err, env.Close())
	}
	return l, nil
}

// databaseOpener returns how databases are opened: once the environment's meta
// has an entry, they are all there. A reader can't make them.
func databaseOpener(env *lmdbenv.Env, entry string, readOnly bool) (open func(string) (lmdbenv.DBI, error), err error) {
	open = env.OpenDB
	err = env.View(func(txn *lmdbenv.Txn) error {
		value, err := getOrNil(txn, env.Meta(), []byte(entry))
		switch {
		case value != nil:
			open = env.OpenKnownDB
		case err == nil && readOnly:
			err = fmt.Errorf("%q: %w", env.Dir(), lmdbenv.ErrUnfinished)
		}
		return err
	})
	return open, err
}

// identify reads the store's id, and gives a new store one.
func (l *eventLog) identify() error {
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		id, err := getOrNil(txn, l.env.Meta(), []byte(storeKey))
		switch {
		case err != nil:
			return err
		case id == nil:
			if err := checkNew(filepath.Dir(l.env.Dir())); err != nil {
				return err
			}
			l.store = ulid.Make()
			return txn.Put(l.env.Meta(), []byte(storeKey), l.store[:], 0)
		}
		return l.setStore(id)
	})
}

// identified reads the store's id, which is there.
func (l *eventLog) identified() error {
	return l.env.View(func(txn *lmdbenv.Txn) error {
		id, err := getOrNil(txn, l.env.Meta(), []byte(storeKey))
		if err != nil {
			return err
		}
		return l.setStore(id)
	})
}

func (l *eventLog) setStore(id []byte) error {
	if len(id) != len(l.store) {
		return &event.CorruptError{Message: fmt.Sprintf("the store's id has %d bytes", len(id))}
	}
	l.store = event.ID(id)
	return nil
}

var errOtherWriter = errors.New("the log has events of another writer: see to it that one process has the store open, and never remove its file \"lock\"")

// commit makes a batch durable, in one synced transaction. It fails when the
// log does not end where the batch was decided.
func (l *eventLog) commit(events []event.Event) error {
	if err := l.env.Room(logBytes(events)); err != nil {
		return err
	}
	err := l.env.Update(func(txn *lmdbenv.Txn) error {
		if err := l.checkLast(txn); err != nil {
			return err
		}
		var key [8]byte
		var at place
		for _, e := range events {
			at = placeOf(e)
			if err := txn.Put(l.records, at.id[:], e.Record(), lmdbenv.Append); err != nil {
				return fmt.Errorf("position %d, id %s: %w", at.position, at.id, err)
			}
			if at.position%sparseStep != 0 {
				continue
			}
			binary.BigEndian.PutUint64(key[:], at.position)
			if err := txn.Put(l.positions, key[:], at.id[:], lmdbenv.Append); err != nil {
				return fmt.Errorf("position %d, id %s: %w", at.position, at.id, err)
			}
		}
		return nil
	})
	if err == nil {
		l.last = events[len(events)-1].ID()
	}
	return err
}

// checkLast verifies that nobody else has written.
func (l *eventLog) checkLast(txn *lmdbenv.Txn) error {
	c, err := txn.OpenCursor(l.records)
	if err != nil {
		return err
	}
	defer c.Close()
	key, _, err := c.Get(nil, nil, lmdbenv.Last)
	switch {
	case lmdbenv.IsNotFound(err) && l.last.IsZero():
		return nil
	case err != nil && !lmdbenv.IsNotFound(err):
		return err
	case string(key) != string(l.last[:]):
		return errOtherWriter
	}
	return nil
}

// logBytes bounds what a batch takes on the disk: small records share pages that
// are at least half full, large ones have their own.
func logBytes(events []event.Event) (n int64) {
	const small, pages = 2000, 8192
	for _, e := range events {
		size := int64(len(e.Record()))
		if n += size + pages; size < small {
			n += size + 256 - pages
		}
	}
	return n
}

// logView is the log as of one transaction.
type logView struct {
	*eventLog
	txn *lmdbenv.Txn
}

// checked returns the event of a record, which must be at that position and
// under that id; position 0 accepts any. It aliases the map.
func checked(key, record []byte, position uint64) (event.Event, error) {
	if err := event.CheckRecord(record); err != nil {
		var corrupt *event.CorruptError
		if errors.As(err, &corrupt) {
			return event.Event{}, &event.CorruptError{Position: position, Message: corrupt.Message}
		}
		return event.Event{}, err
	}
	e := event.Trusted(record)
	if position != 0 && e.Position() != position {
		return event.Event{}, &event.CorruptError{Position: position, Message: fmt.Sprintf("the record found there is that of position %d", e.Position())}
	}
	if err := checkKey(key, e); err != nil {
		return event.Event{}, err
	}
	return e, nil
}

// checkKey fails unless the event is stored under its id.
func checkKey(key []byte, e event.Event) error {
	id := e.ID()
	if string(key) != string(id[:]) {
		return &event.CorruptError{Position: e.Position(), Message: fmt.Sprintf("it has id %s but is stored under %x", id, key)}
	}
	return nil
}

// last returns the last event; an empty log has none.
func (v logView) last() (e event.Event, ok bool, err error) {
	c, err := v.txn.OpenCursor(v.records)
	if err != nil {
		return event.Event{}, false, err
	}
	defer c.Close()
	key, record, err := c.Get(nil, nil, lmdbenv.Last)
	if lmdbenv.IsNotFound(err) {
		return event.Event{}, false, nil
	}
	if err != nil {
		return event.Event{}, false, err
	}
	e, err = checked(key, record, 0)
	return e, err == nil, err
}

// head returns the place of the last event, from which commits go on.
func (l *eventLog) head() (place, error) {
	head, err := l.lastPlace()
	l.last = head.id
	return head, err
}

// lastPlace returns the place of the last event that there is now.
func (l *eventLog) lastPlace() (head place, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		last, ok, err := logView{l, txn}.last()
		if ok {
			head = placeOf(last)
		}
		return err
	})
	return head, err
}

// at returns the event at a place that an index named.
func (v logView) at(p place) (event.Event, error) {
	record, err := v.txn.Get(v.records, p.id[:])
	if lmdbenv.IsNotFound(err) {
		return event.Event{}, &event.CorruptError{Position: p.position, Message: fmt.Sprintf("the index names id %s, which is not in the log", p.id)}
	}
	if err != nil {
		return event.Event{}, err
	}
	return checked(p.id[:], record, p.position)
}

// append returns all events of the append that begins at a place. They alias
// the map.
func (v logView) append(first place) ([]event.Event, error) {
	e, err := v.at(first)
	if err != nil {
		return nil, err
	}
	if e.BatchSeq() != 0 || e.BatchSize() < 1 {
		return nil, &event.CorruptError{Position: first.position, Message: "it is not the first event of its append"}
	}
	events := make([]event.Event, 0, e.BatchSize())
	scan, err := v.scan(first.position, false)
	if err != nil {
		return nil, err
	}
	defer scan.close()
	for range e.BatchSize() {
		e, err := scan.next()
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// after returns the position behind which the events with an id of at least id
// begin, and false when there are none: then it is that of the last event. Both
// neighbours of the place must be there, in order: a damaged key of a branch page
// leads LMDB to another place.
func (v logView) after(id event.ID, inclusive bool) (position uint64, ok bool, err error) {
	c, err := v.txn.OpenCursor(v.records)
	if err != nil {
		return 0, false, err
	}
	defer c.Close()
	next, ok, err := v.move(c, id[:], lmdbenv.SetRange)
	switch {
	case err != nil:
		return 0, false, err
	case ok && next.id == id && !inclusive:
		return next.position, true, nil
	}
	back := uint(lmdbenv.Prev)
	if !ok {
		back = lmdbenv.Last
	}
	previous, _, err := v.move(c, nil, back)
	if err != nil {
		return 0, false, err
	}
	if previous.id.Compare(id) >= 0 || ok && (next.id.Compare(id) < 0 || next.position != previous.position+1) {
		return 0, false, &event.CorruptError{Position: previous.position, Message: fmt.Sprintf("looking for id %s, the log leads here, which is not where that belongs", id)}
	}
	return previous.position, ok, nil
}

// move moves a cursor of the records, and returns the place of the event there,
// false and the zero place when there is none.
func (v logView) move(c *lmdbenv.Cursor, key []byte, op uint) (at place, ok bool, err error) {
	key, record, err := c.Get(key, nil, op)
	if lmdbenv.IsNotFound(err) {
		return place{}, false, nil
	}
	if err != nil {
		return place{}, false, err
	}
	e, err := checked(key, record, 0)
	if err != nil {
		return place{}, false, err
	}
	return placeOf(e), true, nil
}

// scan is a run through the log by position, in one direction.
type scan struct {
	window
	log      logView
	position uint64 // of the event that next returns
}

// scan starts at a position that exists.
func (v logView) scan(position uint64, backward bool) (*scan, error) {
	s := &scan{window: window{backward: backward}, log: v, position: position}
	if err := s.find(v, position); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// ahead returns how many events the scan has at hand, from its position to another
// one that exists: at least one.
func (s *scan) ahead(to uint64) (int, error) {
	if !s.has(s.position) {
		if err := s.fill(s.position); err != nil {
			return 0, err
		}
	}
	most := to - s.position
	if s.backward {
		most = s.position - to
	}
	return int(min(uint64(s.count)-s.index(s.position), most+1)), nil
}

// next returns the event at the scan's position and moves on. The caller knows
// that there is one.
func (s *scan) next() (event.Event, error) {
	e, err := s.at(s.log, s.position)
	if err == nil {
		s.advance()
	}
	return e, err
}

func (s *scan) advance() {
	if s.position++; s.backward {
		s.position -= 2
	}
}
