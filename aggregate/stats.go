package aggregate

import "sync/atomic"

// Stats counts what a handler did since it was made.
type Stats struct {
	// CachedStates and CachedBytes are what the cache holds, and is charged with.
	CachedStates, CachedBytes int
	// Hits and Misses count lookups in the cache, Evictions what had to make
	// room.
	Hits, Misses, Evictions uint64
	// Conflicts counts appends that other writers were faster than.
	Conflicts uint64
	// SnapshotsLoaded counts snapshots that spared a reading, SnapshotsIgnored
	// those that were damaged, of another schema, revision or past,
	// SnapshotsSaved those handed over to be stored. SnapshotErrors counts what
	// failed.
	SnapshotsLoaded, SnapshotsIgnored, SnapshotsSaved, SnapshotErrors uint64
	// Panics counts deciders that panicked, Abandoned those that go on at the
	// moment although their callers have left.
	Panics    uint64
	Abandoned int
}

type counters struct {
	conflicts, panics                                                 atomic.Uint64
	snapshotsLoaded, snapshotsIgnored, snapshotsSaved, snapshotErrors atomic.Uint64
}

// Stats returns the handler's counters.
func (h *Handler[S]) Stats() Stats {
	s := Stats{
		Conflicts:        h.stats.conflicts.Load(),
		SnapshotsLoaded:  h.stats.snapshotsLoaded.Load(),
		SnapshotsIgnored: h.stats.snapshotsIgnored.Load(),
		SnapshotsSaved:   h.stats.snapshotsSaved.Load(),
		SnapshotErrors:   h.stats.snapshotErrors.Load(),
		Panics:           h.stats.panics.Load(),
		Abandoned:        h.crew.left(),
	}
	h.slots.mu.Lock()
	defer h.slots.mu.Unlock()
	s.CachedStates, s.CachedBytes = h.slots.states, h.slots.bytes
	s.Hits, s.Misses, s.Evictions = h.slots.hits, h.slots.misses, h.slots.evictions
	return s
}
