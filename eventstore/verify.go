package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// maxProblems is how many problems a report spells out.
const maxProblems = 100

// verifyStep is how many events are verified in one reader transaction.
const verifyStep = 1000

// Report is what [Store.Verify] found.
type Report struct {
	Store event.ID
	// Head and IndexPosition are up to where log and index were verified.
	Head, IndexPosition uint64
	// Events, Appends and Streams there are; Bytes of records.
	Events, Appends, Streams, Bytes uint64
	// JournalPosition is up to where the journal has events that the log has not
	// taken up, 0 when there are none. [VerifyDir] says it.
	JournalPosition uint64
	// Problems are the first hundred, in the order of the log; Found is how
	// many there are.
	Problems []Problem
	Found    int
	// Notes are what is worth knowing and no damage: what could not be verified
	// beside a writer, what a crash left.
	Notes []string
}

// Problem is one thing that is not as it must be.
type Problem struct {
	// Position of the event, 0 when the problem is not with one.
	Position uint64
	Message  string
}

func (p Problem) String() string {
	if p.Position == 0 {
		return p.Message
	}
	return fmt.Sprintf("position %d: %s", p.Position, p.Message)
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return r.Found == 0 }

func (r *Report) add(position uint64, message string, args ...any) {
	if r.Found++; len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{position, fmt.Sprintf(message, args...)})
	}
}

// Verify reads the whole store and checks everything that can be: that every
// record is whole, valid for its schema and where it belongs; that positions
// and versions are dense, ids increase and appends are whole; that the index
// has exactly what the log says. It runs beside appends and reads, and covers
// what there was when it began. What it finds wrong is in the report; the error
// is for a verification that could not be finished.
//
// It keeps the names of all streams in memory.
func (s *Store) Verify(ctx context.Context) (Report, error) {
	head, err := s.settle(ctx)
	v := &verifier{store: s, head: head, streams: make(map[string]uint64)}
	v.report.Store = s.log.store
	if err != nil {
		return v.report, err
	}
	err = v.run(ctx)
	return v.report, err
}

// run verifies log and index.
func (v *verifier) run(ctx context.Context) error {
	if v.store.index != nil {
		if err := v.lists(ctx); err != nil {
			return closedError(err)
		}
	}
	for v.position < v.head.position && !v.ended {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.step(); err != nil {
			return closedError(err)
		}
		if v.progress != nil {
			v.progress(v.position, v.head.position)
		}
	}
	v.report.Head = v.position
	v.report.Streams = uint64(len(v.streams))
	if v.store.index != nil {
		v.index.compare(&v.report)
	}
	return nil
}

// verifier is a verification on its way.
type verifier struct {
	store   *Store // its index may be nil
	head    place
	report  Report
	streams map[string]uint64 // versions
	tags    []string          // scratch space
	// progress is called now and then; nil is not.
	progress func(position, head uint64)

	position uint64 // verified so far
	key      []byte // the id there, as the log's key
	ended    bool   // the log ended early
	previous event.Event
	index    indexVerifier
}

// step verifies the next events, in one transaction each of log and index.
func (v *verifier) step() error {
	var view indexView
	if v.store.index != nil {
		index, err := v.store.index.env.Begin()
		if err != nil {
			return err
		}
		defer index.Close()
		view = v.store.index.view(index.Txn)
		defer view.close()
	}
	log, err := v.store.log.env.Begin()
	if err != nil {
		return err
	}
	defer log.Close()
	c, err := log.Txn.OpenCursor(v.store.log.records)
	if err != nil {
		return err
	}
	defer c.Close()
	if v.key != nil {
		if _, _, err := c.Get(v.key, nil, lmdbenv.SetKey); err != nil {
			return err
		}
	}
	entries := indexEntries{view: view, lists: make(map[list]*indexPostings)}
	for range verifyStep {
		if v.position >= v.head.position {
			return nil
		}
		key, record, err := c.Get(nil, nil, lmdbenv.Next)
		if lmdbenv.IsNotFound(err) {
			v.report.add(v.position+1, "the log ends here, the head is %d", v.head.position)
			v.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		v.position++
		v.key = append(v.key[:0], key...)
		e, ok := v.record(key, record)
		if !ok {
			v.previous = event.Event{}
			continue
		}
		v.order(e)
		v.sparse(log.Txn, e)
		if v.store.index != nil {
			if err := entries.check(v, e); err != nil {
				return err
			}
		}
		v.previous = e.Clone()
	}
	return nil
}

// record verifies one record by itself.
func (v *verifier) record(key, record []byte) (event.Event, bool) {
	e, err := event.Decode(record)
	if err == nil {
		err = checkKey(key, e)
	}
	if err != nil {
		v.report.add(v.position, "%s", problem(err))
		return e, false
	}
	v.event(e)
	return e, true
}

// event verifies an event that is whole by itself.
func (v *verifier) event(e event.Event) {
	if e.Position() != v.position {
		v.report.add(v.position, "the record found there is that of position %d", e.Position())
		v.position = e.Position()
	}
	v.data(e)
	v.report.Events++
	v.report.Bytes += uint64(len(e.Record()))
}

// data verifies the event's data by its schema, and that it has the tags which
// the schema takes from the data.
func (v *verifier) data(e event.Event) {
	schemas := v.store.Schemas()
	if err := schemas.Verify(e.Type(), e.Schema(), e.Data()); err != nil {
		v.report.add(v.position, "data: %v", err)
		return
	}
	v.tags = schemas.AppendTags(v.tags[:0], e.Type(), e.Schema(), e.Data())
	for _, tag := range v.tags {
		if !e.HasTag(tag) {
			v.report.add(v.position, "tag %q is missing, which its schema takes from its data", tag)
		}
	}
}

func problem(err error) string {
	var corrupt *event.CorruptError
	if errors.As(err, &corrupt) {
		return corrupt.Message
	}
	return err.Error()
}

// order verifies the event's place among those before it.
func (v *verifier) order(e event.Event) {
	at := e.Position()
	v.streams[e.Stream()]++
	if want := v.streams[e.Stream()]; e.Version() != want {
		v.report.add(at, "version %d of stream %q, %d was next", e.Version(), e.Stream(), want)
		v.streams[e.Stream()] = e.Version()
	}
	if e.BatchSeq() == 0 {
		v.report.Appends++
	}
	if e.BatchSeq() >= e.BatchSize() || uint64(e.BatchSeq()) >= at {
		v.report.add(at, "place %d in an append of %d", e.BatchSeq(), e.BatchSize())
	}
	if before := v.previous; !before.IsZero() {
		if e.ID().Compare(before.ID()) <= 0 {
			v.report.add(at, "id %s does not follow %s", e.ID(), before.ID())
		}
		inside := e.BatchSeq() == before.BatchSeq()+1 && e.BatchSize() == before.BatchSize() && e.BatchKey() == before.BatchKey()
		begins := e.BatchSeq() == 0 && before.BatchSeq()+1 == before.BatchSize()
		if !inside && !begins {
			v.report.add(at, "the append before it, or its own, is torn")
		}
	}
	if at == v.head.position && e.BatchSeq()+1 != e.BatchSize() {
		v.report.add(at, "the last append is torn")
	}
}

func (v *verifier) sparse(txn *lmdbenv.Txn, e event.Event) {
	at := placeOf(e)
	if at.position%sparseStep != 0 {
		return
	}
	id, err := txn.Get(v.store.log.positions, binary.BigEndian.AppendUint64(nil, at.position))
	if err != nil || string(id) != string(at.id[:]) {
		v.report.add(at.position, "the log's list of positions has id %x", id)
	}
}
