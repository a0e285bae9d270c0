package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

// Description is what there is to know of a store without reading its events.
type Description struct {
	Store event.ID `json:"store"`
	// Events are in the log; First and Last are ends of it, nil when it is
	// empty.
	Events uint64 `json:"events"`
	First  *Mark  `json:"first,omitempty"`
	Last   *Mark  `json:"last,omitempty"`
	// Log, Index and Journal are their files. Index is nil when it can't be used,
	// and is then made again when the store is opened to write.
	Log     Files  `json:"log"`
	Index   *Files `json:"index,omitempty"`
	Journal Files  `json:"journal"`
	// Segments of the journal. Closed is whether it is known to be empty.
	Segments int  `json:"segments"`
	Closed   bool `json:"closed"`
	// Schemas are those that the log keeps, in the order in which they came.
	Schemas []DescribedSchema `json:"schemas"`
}

// Mark is where an event is, and when it was recorded.
type Mark struct {
	Position uint64    `json:"position"`
	ID       event.ID  `json:"id"`
	Time     time.Time `json:"time"`
}

// Files are what a part of a store takes on the disk, and up to where it has
// events. A journal that holds nothing which the log has not is at 0.
type Files struct {
	Position uint64 `json:"position"`
	Bytes    int64  `json:"bytes"`
}

// DescribedSchema is a schema that a log keeps.
type DescribedSchema struct {
	File        string   `json:"file"`
	Fingerprint string   `json:"fingerprint"`
	Bytes       int      `json:"bytes"`
	Events      []string `json:"events"` // the types of events that it declares
}

// Describe looks at the store in a directory, whether a process has it open or
// not, and changes nothing. It takes milliseconds, and the time to read what is
// in the journal.
func Describe(dir string) (d Description, err error) {
	s := &Store{dir: dir}
	env, err := s.openLogReadOnly()
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, s.closeFiles(), s.unlock()) }()
	d.Store = s.log.store
	if err := s.describeIndex(env, &d); err != nil { // before the log, which it follows
		return d, err
	}
	if err := s.describeLog(&d); err != nil {
		return d, err
	}
	return d, s.describeJournal(&d)
}

func (s *Store) describeIndex(env lmdbenv.Options, d *Description) error {
	v := verifier{store: s}
	if err := v.openIndex(env); err != nil || s.index == nil {
		return err
	}
	at, err := (&watcher{store: s}).checkpoint()
	if err == nil {
		d.Index, err = describeEnv(s.index.env, at.position)
	}
	return err
}

func describeEnv(env *lmdbenv.Env, position uint64) (*Files, error) {
	sizes, err := env.Sizes()
	return &Files{position, sizes.Used}, err
}

func (s *Store) describeLog(d *Description) error {
	if err := s.log.env.View(func(txn *lmdbenv.Txn) error {
		stat, err := txn.Stat(s.log.records)
		if d.Events = stat.Entries; err != nil || d.Events == 0 {
			return err
		}
		view := logView{s.log, txn}
		first, err := view.scan(1, false)
		if err != nil {
			return err
		}
		defer first.close()
		e, err := first.next()
		if err != nil {
			return err
		}
		d.First = markOf(e)
		last, _, err := view.last()
		if err == nil {
			d.Last = markOf(last)
		}
		return err
	}); err != nil {
		return err
	}
	files, err := describeEnv(s.log.env, d.Events)
	if err != nil {
		return err
	}
	d.Log = *files
	kept, err := s.log.keptSchemas()
	for _, bfbs := range kept {
		known, err := schema.Parse(bfbs)
		if err != nil {
			return err
		}
		d.Schemas = append(d.Schemas, describeSchema(known))
	}
	return err
}

func markOf(e event.Event) *Mark { return &Mark{e.Position(), e.ID(), e.Time()} }

func describeSchema(s *schema.Schema) DescribedSchema {
	d := DescribedSchema{File: s.File, Fingerprint: fmt.Sprintf("%016x", s.Fingerprint), Bytes: len(s.BFBS)}
	for _, t := range s.Tables {
		if t.Role == schema.RoleEvent {
			d.Events = append(d.Events, t.Name)
		}
	}
	return d
}

func (s *Store) describeJournal(d *Description) error {
	m, err := s.log.readMark()
	if err != nil {
		return err
	}
	d.Closed = !m.needed
	found, err := journal.Inspect(filepath.Join(s.dir, journalDir), journal.Options{Store: d.Store, Folded: d.Events})
	if errors.Is(err, os.ErrPermission) {
		return err
	}
	if err != nil {
		return nil // a writer changes it at present, or it is damaged: es verify tells
	}
	d.Journal, d.Segments = Files{found.Last, found.DiskBytes}, found.Segments
	return found.Close()
}
