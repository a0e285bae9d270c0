//go:build cgo

package lmdbenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// Copy writes the environment, as of one committed state and without its free
// pages, as a data file. It runs beside updates, and pins the pages of that
// state until it ends. ctx ends it early.
func (e *Env) Copy(ctx context.Context, to io.Writer) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	// LMDB writes to a descriptor and can't be stopped. So it gets a pipe, whose
	// other end is closed when something is wrong.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	copied := make(chan error, 1)
	go func() {
		err := e.env.CopyFDFlag(w.Fd(), lmdb.CopyCompact)
		copied <- errors.Join(err, w.Close())
	}()
	stop := context.AfterFunc(ctx, func() { r.Close() })
	_, err = io.Copy(to, r)
	if stop() {
		err = errors.Join(err, r.Close())
	}
	ended := <-copied
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err // LMDB's is but a consequence
	case ended != nil:
		return fmt.Errorf("copy %q: %w", e.dir, ended)
	}
	return nil
}
