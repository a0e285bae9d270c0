//go:build bug_visible_before_sync

package eventstore

const seeded = bugVisibleEarly
