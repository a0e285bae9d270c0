//go:build cgo && !linux && !darwin

package lmdbenv

// freeSpace does not know: a write will tell.
func freeSpace(string) (int64, bool) { return 0, false }
