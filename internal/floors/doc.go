// Package floors holds no code that runs, only the test of who may import whom.
// docs/ARCHITECTURE.md explains the house; rules_test.go is its plan.
package floors
