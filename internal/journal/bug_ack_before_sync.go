//go:build bug_ack_before_sync

package journal

const seeded = bugAckBeforeSync
