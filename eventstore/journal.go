package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// openJournal opens the journal and folds what a crash left in it into the log,
// whose new head it returns. The log ends at head.
func (s *Store) openJournal(head place, o *Options) (place, error) {
	dir := filepath.Join(s.dir, journalDir)
	segment, segments := o.journalShape()
	j, found, err := journal.Open(dir, journal.Options{
		Store: s.log.store, Folded: head.position, SegmentSize: segment, Segments: segments, FS: s.hooks.fs, Announce: s.announce,
	})
	if err != nil {
		return place{}, err
	}
	s.journal = j
	if err := s.hooks.reach(pointOpened); err != nil {
		return place{}, err
	}
	if found.Cut != nil {
		s.logger.Warn("the last write to the journal was torn; it was never acknowledged, and is left out",
			"file", found.Cut.File, "offset", found.Cut.Offset, "position", found.Cut.Position)
	}
	r := recovery{store: s, dir: dir, head: head}
	if err := r.run(found); err != nil {
		return place{}, fmt.Errorf("fold %q into the log: %w", dir, err)
	}
	if found.Frames > 0 {
		s.logger.Info("recovered events from the journal", "dir", dir, "first", found.First, "last", found.Last, "frames", found.Frames, "bytes", found.Bytes)
	}
	return r.head, nil
}

// recovery folds what is left in a journal into the log.
type recovery struct {
	store *Store
	dir   string
	head  place // of the log and of events
	// events are to be folded next, with their bytes.
	events []event.Event
	bytes  int
}

func (r *recovery) run(found *journal.Recovered) error {
	for frame, err := range found.Folded() {
		if err == nil {
			err = r.compare(frame)
		}
		if err != nil {
			return err
		}
	}
	for frame, err := range found.Unfolded() {
		if seeded == bugSkipUnfolded {
			break
		}
		if err == nil {
			err = r.take(frame)
		}
		if err != nil {
			return err
		}
	}
	if err := r.fold(); err != nil || found.Frames == 0 {
		return err
	}
	if err := r.store.hooks.reach(pointCaughtUp); err != nil {
		return err
	}
	return r.store.journal.Recycle(found.Last)
}

// compare checks that the log has the events of a frame, by their ids.
func (r *recovery) compare(frame journal.Frame) error {
	return r.each(frame, frame.Payload, func(e event.Event) error { return r.store.log.holds(placeOf(e)) })
}

// take adds what the log doesn't have of a frame.
func (r *recovery) take(frame journal.Frame) error {
	folded := r.head.position
	err := r.each(frame, bytes.Clone(frame.Payload), func(e event.Event) error {
		switch at := placeOf(e); {
		case at.position <= folded:
			return r.store.log.holds(at)
		case at.position != r.head.position+1:
			return &event.CorruptError{Position: at.position, Message: fmt.Sprintf("the journal has it after position %d", r.head.position)}
		default:
			r.head = at
			r.events = append(r.events, e)
			r.bytes += len(e.Record())
			return nil
		}
	})
	if err == nil && (len(r.events) >= applyEvents || r.bytes >= foldBytes) {
		err = r.fold()
	}
	return err
}

// each yields the events of a frame, which aliases payload.
func (r *recovery) each(frame journal.Frame, payload []byte, do func(event.Event) error) error {
	position := frame.First
	var last event.Event
	for rest := payload; len(rest) > 0; position++ {
		record, tail, err := event.CutRecord(rest)
		if err == nil {
			last, err = event.Decode(record)
		}
		if err != nil {
			return fmt.Errorf("journal %q, position %d: %w", r.dir, position, err)
		}
		if last.Position() != position {
			return &event.CorruptError{Position: position, Message: fmt.Sprintf("the journal has the record of position %d there", last.Position())}
		}
		if err := do(last); err != nil {
			return err
		}
		rest = tail
	}
	if position != frame.Last+1 || last.BatchSeq()+1 != last.BatchSize() {
		return &event.CorruptError{Position: position - 1, Message: "the journal's frame does not end with it, or not with a whole append"}
	}
	return nil
}

// fold commits the events that were taken.
func (r *recovery) fold() error {
	if len(r.events) == 0 {
		return nil
	}
	s := r.store
	err := s.hooks.around(pointFold, pointFolded, func() error { return s.log.commit(r.events) })
	r.events, r.bytes = nil, 0
	return err
}

// holds fails unless the log has an event with that place's id.
func (l *eventLog) holds(p place) error {
	return l.env.View(func(txn *lmdbenv.Txn) error {
		_, err := txn.Get(l.records, p.id[:])
		if lmdbenv.IsNotFound(err) {
			return &event.CorruptError{Position: p.position, Message: fmt.Sprintf("the journal has it with id %s, the log has another one: log and journal are not of the same store", p.id)}
		}
		return err
	})
}

// persist makes a batch durable: one write and one sync. A full journal waits
// for the log to take something up.
func (s *Store) persist(events []event.Event) error {
	records := s.records[:0]
	for _, e := range events {
		records = append(records, e.Record())
	}
	defer func() {
		clear(records)
		s.records = records[:0]
	}()
	return s.hooks.around(pointPersist, pointPersisted, func() error {
		for {
			moved := s.folder.attempt()
			err := s.journal.Append(events[0].Position(), records)
			if !errors.Is(err, journal.ErrFull) {
				return err
			}
			if err := s.folder.hurry(); err != nil {
				return &event.UnavailableError{Message: "the journal is full", Cause: err}
			}
			<-moved
		}
	})
}

// fold takes the next events of the tail up into the log, and lets go of them in
// the journal.
func (s *Store) fold(after, limit uint64) (uint64, error) {
	events := s.recent.snapshot().batch(after, limit)
	last := events[len(events)-1].Position()
	if seeded == bugRecycleEarly {
		if err := s.journal.Recycle(last); err != nil {
			return 0, err
		}
	}
	if seeded == bugReleaseEarly {
		s.recent.release(last)
	}
	err := s.hooks.around(pointFold, pointFolded, func() error { return s.log.commit(events) })
	if err == nil {
		err = s.journal.Recycle(last)
	}
	return last, err
}

// folded is called after each fold.
func (s *Store) folded(last uint64) {
	s.recent.release(last)
	s.indexer.grew()
	if s.journal.Stats().Free == 0 {
		if _, err := s.journal.Grow(); err != nil {
			s.logger.Warn("the journal can't grow; appends wait for the log instead", "dir", s.dir, "error", err)
		}
	}
	_ = s.hooks.reach(pointRecycled) // can't fail
}
