//go:build bug_stale_cache

package aggregate

const seeded = bugStaleCache
