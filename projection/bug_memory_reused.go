//go:build bug_memory_reused

package projection

const seeded = bugMemoryReused
