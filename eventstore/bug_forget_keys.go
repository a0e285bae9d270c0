//go:build bug_forget_keys

package eventstore

const seeded = bugForgetKeys
