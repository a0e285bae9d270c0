//go:build bug_checkpoint_before_data

package eventstore

const seeded = bugCheckpointFirst
