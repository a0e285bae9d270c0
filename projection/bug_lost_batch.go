//go:build bug_lost_batch

package projection

const seeded = bugLostBatch
