//go:build bug_forgotten_query

package aggregate

const seeded = bugForgottenQuery
