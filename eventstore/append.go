package eventstore

import (
	"context"
	"slices"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Append makes the events durable, all or none, in one place of the order.
//
// Data is verified against its schema, unless the append says to trust it, and
// the tags that the schema declares are added. Everything is checked before
// anything is written: the errors of [event.Append.Validate],
// [*event.UnknownError], [*event.InvalidDataError], [*event.TooLargeError],
// [*event.StoreChangedError], [*event.ConflictError], [*event.KeyReusedError],
// and ctx's own mean that nothing was stored. An
// [*event.UnavailableError] says so itself: it is [event.ErrOutcomeUnknown]
// after a failed sync, and when ctx ends while another caller has the append on
// the way to the disk.
//
// An append that finds nobody committing does it itself, on the caller's
// goroutine, and then returns when the disk has answered, also when ctx ends
// before: a system call can't be given up, and to leave it to a goroutine of the
// store would cost every lone append a switch of goroutines.
//
// The append may be reused by the caller when Append returns.
func (s *Store) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return event.Receipt{}, err
	}
	if s.watcher != nil {
		return event.Receipt{}, errReadOnly()
	}
	if err := a.For(s.log.store); err != nil {
		return event.Receipt{}, err
	}
	p, err := commit.Propose(s.Schemas(), &a, s.limits)
	if err != nil {
		return event.Receipt{}, err
	}
	for {
		if err := s.room(ctx); err != nil {
			return event.Receipt{}, err
		}
		if err := s.facts(ctx, p); err != nil {
			return event.Receipt{}, err
		}
		if seeded == bugConditionOutside {
			alone := commit.Decide(s.recent.snapshot(), []*commit.Proposal{p}, s.committer.now(), commit.RandomEntropy).Outcomes[0]
			if p.Conditions = nil; alone.Err != nil {
				return event.Receipt{}, alone.Err
			}
		}
		outcome, err := s.committer.submit(ctx, p)
		if err != nil {
			return event.Receipt{}, err
		}
		// The tail was trimmed past the facts while the proposal waited, or its key
		// was used, by records that the tail has let go of.
		if !outcome.Stale {
			return outcome.Settle(s.Schemas(), &a, s.limits)
		}
	}
}

// room waits until there is room in the tail, and has log and index make it.
// While they have no space on the disk there is none: what is durable could not
// be taken up.
func (s *Store) room(ctx context.Context) error {
	for _, f := range []*follower{s.folder, s.indexer} {
		if f.stuck() == nil {
			continue
		}
		if err := f.retry(ctx); err != nil {
			return err
		}
		if err := f.stuck(); err != nil {
			return &event.UnavailableError{Message: "no space for the append", Cause: f.behind(err)}
		}
	}
	for {
		folded := s.folder.attempt()
		freed, err := s.recent.room()
		if freed == nil || err != nil {
			return err
		}
		// One that fails to follow tries again by itself, and an append that
		// comes later is told.
		_, _ = s.folder.hurry(), s.indexer.hurry()
		select {
		case <-freed:
		case <-folded: // so the index has something to follow
		case <-s.closing:
			return errClosed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AppendByKey returns the receipt of the append with that key.
func (s *Store) AppendByKey(ctx context.Context, key string) (event.Receipt, bool, error) {
	if err := ctx.Err(); err != nil {
		return event.Receipt{}, false, err
	}
	if err := s.ready(); err != nil {
		return event.Receipt{}, false, err
	}
	earlier, err := s.earlier(s.recent.snapshot(), key)
	if err != nil || earlier == nil {
		return event.Receipt{}, false, err
	}
	earlier.Receipt.Repeated = true
	return earlier.Receipt, true, nil
}

// facts finds what the proposal needs to know, as of the tail's present head.
// The committer looks only at what comes after.
func (s *Store) facts(ctx context.Context, p *commit.Proposal) (err error) {
	t := s.recent.snapshot()
	p.Facts = commit.Facts{At: t.head.position, Versions: p.Facts.Versions[:0]}
	if p.Key != "" {
		if p.Facts.Earlier, err = s.earlier(t, p.Key); err != nil || p.Facts.Earlier != nil {
			return err
		}
	}
	known := !slices.ContainsFunc(p.Conditions, isNoneMatch)
	for _, stream := range p.Streams {
		version, ok := t.Version(stream, t.base)
		p.Facts.Versions = append(p.Facts.Versions, version)
		known = known && ok
	}
	if known {
		return nil
	}
	if err := s.versions(p.Streams, p.Facts.Versions); err != nil {
		return closedError(err)
	}
	return s.matches(ctx, t, p)
}

// versions fills in the versions that the tail did not know.
func (s *Store) versions(streams []string, versions []uint64) error {
	return s.index.env.View(func(txn *lmdbenv.Txn) (err error) {
		view := s.index.view(txn)
		defer view.close()
		for i, stream := range streams {
			if versions[i] != 0 {
				continue
			}
			if versions[i], err = view.version(stream); err != nil {
				return err
			}
		}
		return nil
	})
}

func isNoneMatch(c event.Condition) bool {
	_, ok := c.(event.NoneMatch)
	return ok
}

// matches finds what already stands against the proposal's NoneMatch
// conditions.
func (s *Store) matches(ctx context.Context, t *tail, p *commit.Proposal) error {
	for i, c := range p.Conditions {
		none, ok := c.(event.NoneMatch)
		if !ok {
			continue
		}
		position, err := s.firstMatch(ctx, t, none)
		if err != nil {
			return err
		}
		if position != 0 {
			if p.Facts.Matches == nil {
				p.Facts.Matches = make([]uint64, len(p.Conditions))
			}
			p.Facts.Matches[i] = position
		}
	}
	return nil
}

func (s *Store) firstMatch(ctx context.Context, t *tail, none event.NoneMatch) (uint64, error) {
	from := none.After + 1
	if from > t.head.position || from == 0 {
		return 0, nil
	}
	if matchesEverything(none.Query) {
		return from, nil
	}
	if from <= t.base {
		position, err := s.indexedMatch(ctx, none.Query, from)
		if err != nil || position != 0 && position <= t.head.position {
			return position, err
		}
	}
	return t.Match(none.Query, none.After), nil
}

// indexedMatch returns the first match at or behind a position that the index
// has, 0 if there is none. It may take long, but holds no reader for long.
func (s *Store) indexedMatch(ctx context.Context, q event.Query, from uint64) (uint64, error) {
	for {
		h, err := s.searchMatch(ctx, q, from)
		switch {
		case err != nil || !h.ok:
			return 0, closedError(err)
		case !h.partial:
			return h.position, nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		}
		from = h.position
	}
}

// searchMatch goes as far as the scan bound. A hit is confirmed by the record:
// the log is never behind the index.
func (s *Store) searchMatch(ctx context.Context, q event.Query, from uint64) (hit, error) {
	v, err := s.snapshot(true)
	if err != nil {
		return hit{}, err
	}
	defer v.close()
	p, err := planned(v.index, q, false)
	if err != nil {
		return hit{}, err
	}
	p.bound, p.done = scanBound, ctx.Done()
	h, err := p.seek(from)
	if err != nil || !h.ok || h.partial {
		return h, err
	}
	f := finder{view: v.index}
	defer f.close()
	e, err := f.at(h.position)
	if err == nil && !q.Matches(e) {
		err = errListedWrongly(h.position)
	}
	return h, err
}

// matchesEverything reports whether an item of the query does not restrict.
func matchesEverything(q event.Query) bool {
	return slices.ContainsFunc(q, func(i event.Item) bool { return len(i.Types) == 0 && len(i.Tags) == 0 })
}

// earlier returns the last append that used the key up to the tail's head, nil
// if none did, or the key is not known any more.
func (s *Store) earlier(t *tail, key string) (earlier *commit.Earlier, err error) {
	at, ok := t.keyed(key)
	if !ok {
		at, ok, err = s.indexedKey(t, key)
	}
	switch {
	case err != nil || !ok:
		return nil, err
	case at.position > t.held:
		earlier = t.earlierAt(at)
	default:
		earlier, err = s.loggedAppend(at, key)
	}
	if earlier != nil && !earlier.Known(t.head.id, s.limits.KeyRetention) {
		earlier = nil
	}
	return earlier, err
}

// indexedKey returns the place of the first event of the append with that key
// that the index has, which has all that the tail has no list of.
func (s *Store) indexedKey(t *tail, key string) (at place, ok bool, err error) {
	err = s.index.env.View(func(txn *lmdbenv.Txn) error {
		indexed, err := s.index.checkpoint(txn)
		if err != nil {
			return err
		}
		if indexed.position < t.base {
			return errIndexBehind()
		}
		at, ok, err = indexView{index: s.index, txn: txn}.key(key)
		return err
	})
	return at, ok, closedError(err)
}

// loggedAppend reads the append that begins at a place from the log, which says
// whether it has that key.
func (s *Store) loggedAppend(at place, key string) (earlier *commit.Earlier, err error) {
	err = s.log.env.View(func(txn *lmdbenv.Txn) error {
		events, err := logView{s.log, txn}.append(at)
		if err == nil && events[0].BatchKey() != key {
			err = &event.CorruptError{Position: at.position, Message: "the index says that it has key " + key}
		}
		if err == nil {
			earlier = commit.EarlierOf(events)
		}
		return err
	})
	return earlier, closedError(err)
}
