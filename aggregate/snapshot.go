package aggregate

import (
	"context"

	"github.com/verbatim-es/verbatim/event"
)

// Snapshots keeps states, so that a long stream need not be read from its
// beginning. What it returns is never trusted: a snapshot counts when its schema
// and revision are the handler's, its bytes verify, and the log has the event
// that it names at its version. So it may lose snapshots, and keep those of
// several logs. Package snapshot has one in LMDB.
type Snapshots interface {
	// Load returns the newest snapshot of a stream, and false if there is none.
	// The caller keeps its bytes. An error costs the caller no more than time.
	Load(ctx context.Context, stream string) (Snapshot, bool, error)
	// Save keeps a snapshot in the place of an older one of its stream. It does
	// not wait for a disk: it may store later, or leave out what is too much.
	Save(ctx context.Context, s Snapshot) error
}

// Snapshot is an aggregate's state at a version.
type Snapshot struct {
	Stream  string
	Version uint64
	// ID is that of the stream's event at Version.
	ID event.ID
	// Schema is the fingerprint of the schema that State was packed by, and
	// Revision [Options.Revision].
	Schema   uint64
	Revision uint32
	// State is the FlatBuffer that the definition packs.
	State []byte
}

// defaultSnapshotEvery is how many events are worth a snapshot: reading them
// takes some ten microseconds.
const defaultSnapshotEvery = 256

// fromSnapshot loads an aggregate from its newest snapshot and the events that
// follow, and reports false where there is none that holds. One read does both
// checking the snapshot's event and catching up.
func (h *Handler[S]) fromSnapshot(ctx context.Context, stream string, to *folded[S]) (bool, error) {
	if !h.snapshots() {
		return false, nil
	}
	s, found, err := h.opts.Snapshots.Load(ctx, stream)
	if err != nil {
		h.stats.snapshotErrors.Add(1)
		return false, ctx.Err()
	}
	if !found {
		return false, nil
	}
	state, usable := h.restore(s)
	if !usable {
		h.stats.snapshotsIgnored.Add(1)
		return false, nil
	}
	page, err := h.log.ReadPage(ctx, event.Selection{Stream: stream, FromVersion: s.Version}, event.PageOptions{MaxBytes: readBytes})
	if err != nil {
		return false, loading(stream, err)
	}
	rest, holds := after(page, s)
	if !holds {
		h.stats.snapshotsIgnored.Add(1)
		return false, nil
	}
	h.stats.snapshotsLoaded.Add(1)
	*to = folded[S]{
		state: state, version: s.Version, id: s.ID, saved: s.Version, packed: len(s.State),
		after: page.Last, head: page.Head, store: page.Store,
	}
	if err := h.foldPage(rest, to); err != nil {
		return false, loading(stream, err)
	}
	if !page.More {
		return true, nil
	}
	return true, h.fold(ctx, stream, to, true)
}

func (h *Handler[S]) snapshots() bool {
	return h.opts.Snapshots != nil && h.def.Pack != nil && h.def.Unpack != nil
}

// restore unpacks a snapshot that is of the schema and revision of today.
func (h *Handler[S]) restore(s Snapshot) (state S, usable bool) {
	if s.Version == 0 || s.Schema != h.def.Fingerprint || s.Revision != h.opts.Revision {
		return state, false
	}
	state, err := h.def.Unpack(s.State)
	return state, err == nil
}

// after returns what a page that was read from a snapshot's version has behind
// the snapshot's event, and false when the page does not begin with that event:
// then the snapshot is of another log, or of a past that a restored backup does
// not have.
func after(page event.Page, s Snapshot) (event.Page, bool) {
	if page.Count == 0 {
		return page, false
	}
	record, rest, err := event.CutRecord(page.Records)
	if err != nil {
		return page, false
	}
	first := event.Page{Records: record, Count: 1, Checked: page.Checked}
	for e, err := range first.Events() {
		if err != nil || (e.Version() != s.Version || e.ID() != s.ID) && seeded != bugUncheckedSnapshot {
			return page, false
		}
	}
	page.Records, page.Count = rest, page.Count-1
	return page, true
}

// snapshot saves a state that is far enough from the newest snapshot. f is
// still the caller's alone.
func (h *Handler[S]) snapshot(ctx context.Context, stream string, f *folded[S]) {
	if !h.snapshots() || f.version < f.saved+uint64(h.opts.SnapshotEvery) {
		return
	}
	// Not again for every event, when it can't be packed or saved.
	f.saved = f.version
	data, err := h.pack(&f.state)
	if err == nil {
		err = h.opts.Snapshots.Save(ctx, Snapshot{
			Stream: stream, Version: f.version, ID: f.id,
			Schema: h.def.Fingerprint, Revision: h.opts.Revision, State: data,
		})
	}
	if err != nil {
		h.stats.snapshotErrors.Add(1)
		return
	}
	h.stats.snapshotsSaved.Add(1)
}
