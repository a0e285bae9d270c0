//go:build bug_two_turns

package aggregate

const seeded = bugTwoTurns
