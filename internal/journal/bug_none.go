//go:build !bug_ack_before_sync && !bug_forget_failure && !bug_stale_segment && !bug_recycle_early && !bug_no_dir_sync && !bug_trust_payload && !bug_cut_anywhere

package journal

const seeded = bugNone
