//go:build bug_no_dir_sync

package journal

const seeded = bugNoDirSync
