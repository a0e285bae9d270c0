//go:build !bug_checkpoint_first && !bug_entry_stays && !bug_switch_early && !bug_skip_forgotten && !bug_memory_reused && !bug_lost_batch

package projection

const seeded = bugNone
