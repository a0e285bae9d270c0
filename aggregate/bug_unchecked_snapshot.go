//go:build bug_unchecked_snapshot

package aggregate

const seeded = bugUncheckedSnapshot
