//go:build bug_stale_segment

package journal

const seeded = bugStaleSegment
