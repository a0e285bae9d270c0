//go:build bug_checkpoint_first

package projection

const seeded = bugCheckpointFirst
