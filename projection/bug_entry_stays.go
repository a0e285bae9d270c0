//go:build bug_entry_stays

package projection

const seeded = bugEntryStays
