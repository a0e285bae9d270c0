package journal

// bug is a mistake that a build tag plants, to see that the tests find it; see
// tools/seededbugs.sh. Without such a tag seeded is bugNone, and nothing of this is
// compiled in.
type bug int

const (
	bugNone          bug = iota
	bugAckBeforeSync     // Append returns without a sync
	bugForgetFailure     // appends go on after a failed sync
	bugStaleSegment      // a generation is used again, and old frames are taken for new ones
	bugRecycleEarly      // a segment is free once its first event is folded
	bugNoDirSync         // the name of a new segment is not made durable
	bugTrustPayload      // checksums are not verified
	bugCutAnywhere       // damage anywhere is taken for the torn end
)
