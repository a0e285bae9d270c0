package eventstore

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/registry"
	"github.com/verbatim-es/verbatim/schema"
)

// LoadOptions are optional.
type LoadOptions struct {
	// KeepStore gives the store the id of the one that was dumped. It is for
	// moving a store, when the old one is not used any more: followers go on
	// where they were. Without it the store gets a new id, and they begin anew.
	KeepStore bool
	// MaxSchemas and MaxSchemaBytes are as in [Options], and have its defaults.
	// A dump with more is an [*event.TooLargeError].
	MaxSchemas, MaxSchemaBytes int
	// Progress is called with the position loaded so far and the last there will
	// be.
	Progress func(position, head uint64)
}

// Load makes a store of a dump, in a new directory: every record has the bytes,
// and with them the id and the position, that it had. Nothing of a dump is
// trusted: records, their checksums, names, data by its schema, the tags that the
// schema takes from the data, order and density of positions and versions, and
// that appends are whole, are verified before anything is kept. What is wrong
// fails Load with an [*event.CorruptError], and nothing is left.
//
// The directory must not exist, or be empty, and gets its name when all is loaded
// and durable; a crash leaves one with ".unfinished-" in its name. The index is
// made when the store is opened. Load keeps the names of all streams in memory.
func Load(ctx context.Context, from io.Reader, dir string, o LoadOptions) (event.Head, error) {
	g, err := stage(dir)
	if err != nil {
		return event.Head{}, fmt.Errorf("load: %w", err)
	}
	l := &loader{from: bufio.NewReaderSize(&interruptible{ctx, from}, 1<<16), options: o}
	if err := g.finish(l.run(g.dir)); err != nil {
		return event.Head{}, fmt.Errorf("load: %w", err)
	}
	return l.head.headOf(l.log.store), nil
}

// loader is a Load on its way.
type loader struct {
	from    io.Reader
	options LoadOptions
	log     *eventLog
	// store and head are the dump's.
	store   event.ID
	head    place
	schemas *registry.Registry
	verify  *verifier
	// kept is what there is of schemas so far.
	kept   struct{ schemas, bytes int }
	buffer []byte
	events []event.Event // verified, and to be committed
	bytes  int
}

func (l *loader) run(dir string) (err error) {
	if err := l.readHead(); err != nil {
		return err
	}
	if l.log, err = openLog(filepath.Join(dir, logDir), lmdbenv.Options{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.log.env.Close()) }()
	if l.schemas, err = registry.New(registry.Rules{}, nil, nil); err != nil {
		return err
	}
	l.verify = &verifier{store: &Store{registry: l.schemas}, head: l.head, streams: make(map[string]uint64)}
	if err := l.sections(); err != nil {
		return err
	}
	if l.options.KeepStore {
		return l.log.identifyAs(l.store)
	}
	return l.log.identifyAs(ulid.Make())
}

func (l *loader) readHead() error {
	tag, head, err := readSection(l.from, nil)
	if damaged := new(event.CorruptError); errors.As(err, &damaged) {
		return &event.CorruptError{Message: damaged.Message + ": is it what es dump --pages wrote?"}
	}
	if err != nil {
		return err
	}
	if tag != dumpHead || len(head) != dumpHeadBytes {
		return dumpDamage("it begins with a section %q of %d bytes", tag, len(head))
	}
	if format := binary.LittleEndian.Uint64(head); format != dumpFormat {
		return fmt.Errorf("the dump has format %d, this program reads %d: use the version that wrote it", format, dumpFormat)
	}
	l.store = event.ID(head[8:24])
	l.head = place{binary.LittleEndian.Uint64(head[24:]), event.ID(head[32:])}
	if l.store.IsZero() || l.head.position == math.MaxUint64 || (l.head.position == 0) != l.head.id.IsZero() {
		return dumpDamage("it is of store %s up to position %d, id %s", l.store, l.head.position, l.head.id)
	}
	return nil
}

// sections loads all that follows the head. Schemas come before pages.
func (l *loader) sections() error {
	for {
		tag, payload, err := readSection(l.from, l.buffer)
		if err != nil {
			return err
		}
		l.buffer = payload[:cap(payload)]
		switch {
		case tag == dumpSchema && l.verify.position == 0:
			err = l.schema(payload)
		case tag == dumpPage:
			err = l.page(payload)
		case tag == dumpEnd:
			return l.end()
		default:
			err = dumpDamage("a section %q is out of place", tag)
		}
		if err != nil {
			return err
		}
	}
}

func (l *loader) schema(bfbs []byte) error {
	// Before it is parsed: that takes memory, too.
	l.kept.schemas++
	l.kept.bytes += len(bfbs)
	if limit := cmp.Or(l.options.MaxSchemas, defaultMaxSchemas); l.kept.schemas > limit {
		return &event.TooLargeError{Bound: "max_schemas", Limit: uint64(limit), Actual: uint64(l.kept.schemas)}
	}
	if limit := cmp.Or(l.options.MaxSchemaBytes, defaultMaxSchemaBytes); l.kept.bytes > limit {
		return &event.TooLargeError{Bound: "max_schema_bytes", Limit: uint64(limit), Actual: uint64(l.kept.bytes)}
	}
	parsed, err := schema.Parse(bfbs)
	if err != nil {
		return dumpDamage("a schema: %v", err)
	}
	if _, twice := l.schemas.Set().ByFingerprint(parsed.Fingerprint); twice {
		return dumpDamage("the schema %016x is there twice", parsed.Fingerprint)
	}
	if err := l.schemas.Learn([][]byte{parsed.BFBS}); err != nil {
		return dumpDamage("a schema: %v", err)
	}
	return l.log.keepSchemas([]*schema.Schema{parsed})
}

func (l *loader) page(page []byte) error {
	for rest := append([]byte(nil), page...); len(rest) > 0; {
		record, tail, err := event.CutRecord(rest)
		if err != nil {
			return &event.CorruptError{Position: l.verify.position + 1, Message: problem(err)}
		}
		if err := l.record(record); err != nil {
			return err
		}
		rest = tail
	}
	if l.options.Progress != nil {
		l.options.Progress(l.verify.position, l.head.position)
	}
	if l.bytes < foldBytes {
		return nil
	}
	return l.commit()
}

// record verifies a record by itself and in its place.
func (l *loader) record(record []byte) error {
	v := l.verify
	v.position++
	e, err := event.Decode(record)
	if err == nil {
		err = asProposed(e).Validate()
	}
	if err != nil {
		return &event.CorruptError{Position: v.position, Message: problem(err)}
	}
	if v.position > l.head.position {
		return &event.CorruptError{Position: v.position, Message: "the dump states that it ends before"}
	}
	v.event(e)
	v.order(e)
	if !v.report.OK() {
		first := v.report.Problems[0]
		return &event.CorruptError{Position: first.Position, Message: first.Message}
	}
	if v.position == 1 && e.BatchSeq() != 0 {
		return &event.CorruptError{Position: 1, Message: "its append began before it"}
	}
	v.previous = e
	l.events = append(l.events, e)
	l.bytes += len(record)
	return nil
}

// asProposed is the append of an event alone, as somebody would propose it.
func asProposed(e event.Event) *event.Append {
	p := event.Proposed{Stream: e.Stream(), Type: e.Type(), Data: e.Data()}
	for tag := range e.Tags() {
		p.Tags = append(p.Tags, tag)
	}
	for key, value := range e.Metadata() {
		p.Metadata = append(p.Metadata, event.Meta{Key: key, Value: value})
	}
	return &event.Append{Key: e.BatchKey(), Events: []event.Proposed{p}}
}

// commit stores what was verified. The directory has not its name yet, so that
// an append may be cut here.
func (l *loader) commit() error {
	if len(l.events) == 0 {
		return nil
	}
	err := l.log.commit(l.events)
	l.events, l.bytes = l.events[:0], 0
	return err
}

func (l *loader) end() error {
	if err := l.commit(); err != nil {
		return err
	}
	if at := (place{l.verify.position, l.log.last}); at != l.head {
		return dumpDamage("it ends at position %d, id %s, and states position %d, id %s", at.position, at.id, l.head.position, l.head.id)
	}
	var more [1]byte
	if _, err := io.ReadFull(l.from, more[:]); !errors.Is(err, io.EOF) {
		return errors.Join(dumpDamage("something follows its end"), err)
	}
	return nil
}
