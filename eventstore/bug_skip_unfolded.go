//go:build bug_skip_unfolded

package eventstore

const seeded = bugSkipUnfolded
