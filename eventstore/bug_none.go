//go:build !bug_visible_before_sync && !bug_checkpoint_before_data && !bug_recycle_before_fold && !bug_condition_outside_order && !bug_release_early && !bug_trim_early && !bug_forget_keys && !bug_skip_unfolded && !bug_index_ahead && !bug_read_then_wait

package eventstore

const seeded = bugNone
