//go:build bug_forget_failure

package journal

const seeded = bugForgetFailure
