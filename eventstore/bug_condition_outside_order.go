//go:build bug_condition_outside_order

package eventstore

const seeded = bugConditionOutside
