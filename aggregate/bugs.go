package aggregate

// bug is a mistake that a build tag plants, to see that the tests find it; see
// tools/seededbugs.sh. Without such a tag seeded is bugNone, and nothing of this
// is compiled in.
type bug int

const (
	bugNone              bug = iota
	bugStaleCache            // a refusal is made on what the cache has
	bugUncheckedSnapshot     // a snapshot is used without looking at its event
	bugForgottenQuery        // an append does not depend on the queries
	bugSharedState           // the decider gets the cache's own state
	bugTwoTurns              // a turn that nobody took is handed out besides the next
)
