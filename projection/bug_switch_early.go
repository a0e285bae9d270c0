//go:build bug_switch_early

package projection

const seeded = bugSwitchEarly
