//go:build !bug_checkpoint_first && !bug_entry_stays && !bug_switch_early && !bug_skip_forgotten

package projection

const seeded = bugNone
