//go:build bug_shared_state

package aggregate

const seeded = bugSharedState
