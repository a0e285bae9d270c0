//go:build bug_read_then_wait

package eventstore

const seeded = bugReadThenWait
