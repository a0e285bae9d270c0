//go:build bug_index_ahead

package eventstore

const seeded = bugIndexAheadOfLog
