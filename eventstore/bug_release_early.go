//go:build bug_release_early

package eventstore

const seeded = bugReleaseEarly
