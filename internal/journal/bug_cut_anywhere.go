//go:build bug_cut_anywhere

package journal

const seeded = bugCutAnywhere
