//go:build !unix

package flatc

import "context"

// lock does nothing here: processes may build the same program at the same
// time, and the rename at the end of each build keeps that harmless.
func lock(context.Context, string, func()) (unlock func(), err error) {
	return func() {}, nil
}
