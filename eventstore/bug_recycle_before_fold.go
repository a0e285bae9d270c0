//go:build bug_recycle_before_fold

package eventstore

const seeded = bugRecycleEarly
