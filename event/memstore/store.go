package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/registry"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

// limits are those of a local store's defaults.
var limits = commit.Limits{Record: event.MaxRecord, Append: event.MaxRecord, Events: 1 << 16}

// Store is a log in memory. Its methods are safe for concurrent use.
type Store struct {
	id       event.ID
	registry *registry.Registry

	mu       sync.Mutex
	events   []event.Event     // position 1 first
	versions map[string]uint64 // of the streams
	keys     map[string]*commit.Earlier
	grown    chan struct{} // closed, and replaced, by every append
}

var (
	_ event.Log       = (*Store)(nil)
	_ event.KeyReader = (*Store)(nil)
)

// New returns an empty log that takes the events of the schemas.
func New(schemas ...schema.Sources) (*Store, error) {
	if _, err := schema.Load(schemas...); err != nil {
		return nil, err
	}
	r, err := registry.New(registry.Rules{Mode: compat.FullTransitive}, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := r.Register(slices.Concat(schemas...)...); err != nil {
		return nil, err
	}
	return &Store{
		id: ulid.Make(), registry: r,
		versions: make(map[string]uint64), keys: make(map[string]*commit.Earlier), grown: make(chan struct{}),
	}, nil
}

// Register takes a schema as a local store does whose Compatibility is
// [compat.FullTransitive].
func (s *Store) Register(ctx context.Context, bfbs []byte) ([]compat.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err := s.registry.Register(schema.Source{BFBS: bfbs})
	var broken *compat.IncompatibleError
	if errors.As(err, &broken) {
		return broken.Findings, err
	}
	return nil, err
}

// StoreID identifies the log.
func (s *Store) StoreID() event.ID { return s.id }

// Schemas are the schemas of the log.
func (s *Store) Schemas() *schema.Set { return s.registry.Set() }

// Append appends the events, all or none. It fails as a local store's does, but
// never for the disk.
func (s *Store) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return event.Receipt{}, err
	}
	if err := a.For(s.id); err != nil {
		return event.Receipt{}, err
	}
	p, err := commit.Propose(s.Schemas(), &a, limits)
	if err != nil {
		return event.Receipt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := commit.Decide(state{s}, []*commit.Proposal{p}, time.Now(), commit.RandomEntropy)
	if len(batch.Events) > 0 {
		s.events = append(s.events, batch.Events...)
		for _, e := range batch.Events {
			s.versions[e.Stream()] = e.Version()
		}
		if p.Key != "" {
			s.keys[p.Key] = commit.EarlierOf(batch.Events)
		}
		close(s.grown)
		s.grown = make(chan struct{})
	}
	return batch.Outcomes[0].Settle(s.Schemas(), &a, limits)
}

// AppendByKey returns the receipt of the append with that key.
func (s *Store) AppendByKey(ctx context.Context, key string) (event.Receipt, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	earlier := s.keys[key]
	if err := ctx.Err(); err != nil || earlier == nil {
		return event.Receipt{}, false, err
	}
	receipt := earlier.Receipt
	receipt.Repeated = true
	return receipt, true, nil
}

// Head returns the end of the log.
func (s *Store) Head(ctx context.Context) (event.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	position, id := state{s}.Head()
	return event.Head{Store: s.id, Position: position, ID: id, First: min(position, 1)}, ctx.Err()
}

// ReadPage returns the next page of a selection; see [event.Page].
func (s *Store) ReadPage(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	if err := ctx.Err(); err != nil {
		return event.Page{}, err
	}
	if err := sel.Validate(); err != nil {
		return event.Page{}, err
	}
	if o.Wait > 0 && sel.Backward {
		return event.Page{}, &event.ArgumentError{Argument: "wait", Message: "reading backward, there is nothing to wait for"}
	}
	if !o.Store.IsZero() && o.Store != s.id {
		return event.Page{}, &event.StoreChangedError{Store: s.id}
	}
	expired := time.After(o.Wait)
	for wait := o.Wait > 0; ; {
		page, grown, err := s.page(&sel, o.MaxBytes, o.Buffer)
		if err != nil || page.Count > 0 || page.More || !wait {
			return page, err
		}
		select {
		case <-grown:
		case <-expired:
			wait = false
		case <-ctx.Done():
			return event.Page{}, ctx.Err()
		}
	}
}

// page reads a page of the events there are, and returns what is closed when
// there are more.
func (s *Store) page(sel *event.Selection, maxBytes int, buffer []byte) (event.Page, <-chan struct{}, error) {
	s.mu.Lock()
	events, grown := s.events, s.grown
	s.mu.Unlock()
	if maxBytes <= 0 {
		maxBytes = event.DefaultPageBytes
	}
	head := uint64(len(events))
	page := event.Page{Records: buffer[:0], Head: head, Store: s.id, Checked: true}
	if sel.After > head && !sel.Backward {
		return page, nil, &event.ArgumentError{Argument: "after", Message: fmt.Sprintf("position %d is beyond the head, which is %d: it is not from this store", sel.After, head)}
	}
	for i := range events {
		e := events[i]
		if sel.Backward {
			e = events[len(events)-1-i]
		}
		if !started(sel, e) || !sel.Matches(e) {
			continue
		}
		record := e.Record()
		if page.Count > 0 && (page.Count == sel.Limit || len(page.Records)+len(record) > maxBytes) {
			page.More = true
			return page, grown, nil
		}
		page.Records = append(page.Records, record...)
		page.Count++
		page.Last = e.Position()
	}
	page.Last = head
	if sel.Backward {
		page.Last = min(head, 1)
	}
	return page, grown, nil
}

// started reports whether the event is on the selection's side of its start.
func started(sel *event.Selection, e event.Event) bool {
	switch {
	case !sel.AfterID.IsZero() && sel.Backward:
		return e.ID().Compare(sel.AfterID) < 0
	case !sel.AfterID.IsZero():
		return e.ID().Compare(sel.AfterID) > 0
	case !sel.Since.IsZero():
		return !e.Time().Before(sel.Since)
	case sel.FromVersion > 0:
		return e.Version() >= sel.FromVersion
	case sel.Backward:
		return sel.After == 0 || e.Position() < sel.After
	default:
		return e.Position() > sel.After
	}
}

// state is the whole log, as deciding sees it.
type state struct{ *Store }

func (s state) Head() (uint64, event.ID) {
	if len(s.events) == 0 {
		return 0, event.ID{}
	}
	return uint64(len(s.events)), s.events[len(s.events)-1].ID()
}

func (s state) Base() uint64 { return 0 }

func (s state) Version(stream string, _ uint64) (uint64, bool) {
	version, ok := s.versions[stream]
	return version, ok
}

func (s state) Match(q event.Query, after uint64) uint64 {
	for i := after; i < uint64(len(s.events)); i++ {
		if q.Matches(s.events[i]) {
			return i + 1
		}
	}
	return 0
}

func (s state) Earlier(key string, _ uint64) (*commit.Earlier, bool) { return s.keys[key], true }
