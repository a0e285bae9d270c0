//go:build bug_trim_early

package eventstore

const seeded = bugTrimEarly
