//go:build !bug_stale_cache && !bug_unchecked_snapshot && !bug_forgotten_query && !bug_shared_state && !bug_two_turns

package aggregate

const seeded = bugNone
