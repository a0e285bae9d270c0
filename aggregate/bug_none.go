//go:build !bug_stale_cache && !bug_unchecked_snapshot && !bug_forgotten_query && !bug_shared_state

package aggregate

const seeded = bugNone
