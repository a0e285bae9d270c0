package eventstore

// bug is a mistake that a build tag plants, to see that the tests find it; see
// tools/seededbugs.sh. Without such a tag seeded is bugNone, and nothing of this
// is compiled in.
type bug int

const (
	bugNone             bug = iota
	bugVisibleEarly         // a batch is published before the journal is synced
	bugCheckpointFirst      // the index's checkpoint is committed before its data
	bugRecycleEarly         // the journal is recycled before the log is synced
	bugConditionOutside     // conditions are checked by the proposer alone
	bugTrimEarly            // the tail is trimmed before the index has taken it up
	bugReleaseEarly         // records are let go before the log has taken them up
	bugForgetKeys           // a rebuilt index has no keys
	bugSkipUnfolded         // what the journal holds is not folded at open
	bugIndexAheadOfLog      // the index follows the tail's head, not the log
	bugReadThenWait         // a reader reads the head first, and then says that it waits
)
