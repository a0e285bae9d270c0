//go:build cgo

package lmdbenv

import "strings"

// OwnReaders is how many readers an environment has in flight at most.
const OwnReaders = ownReaders

// Readers is how many slots of the reader table are taken, by whatever process.
func Readers(e *Env) (n int) {
	_ = e.env.ReaderList(func(line string) error {
		n += strings.Count(line, "\n")
		return nil
	})
	return n - 1 // the heading, also when there are none: "(no active readers)"
}
