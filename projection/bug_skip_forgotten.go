//go:build bug_skip_forgotten

package projection

const seeded = bugSkipForgotten
