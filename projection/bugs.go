package projection

// bug is a mistake that a build tag plants, to see that the tests find it; see
// tools/seededbugs.sh. Without such a tag seeded is bugNone, and nothing of this
// is compiled in.
type bug int

const (
	bugNone            bug = iota
	bugCheckpointFirst     // the checkpoint is committed before the rows
	bugEntryStays          // the index entry of a changed row is not removed
	bugSwitchEarly         // a version takes over before it has caught up
	bugSkipForgotten       // a rebuild applies events that were skipped
	bugMemoryReused        // handlers write over rows that are being stored
	bugLostBatch           // a batch that was not stored counts as stored
)
