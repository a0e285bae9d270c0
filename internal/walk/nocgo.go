//go:build !cgo

// Package walk needs cgo, as LMDB does.
package walk
