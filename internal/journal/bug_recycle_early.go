//go:build bug_recycle_early

package journal

const seeded = bugRecycleEarly
