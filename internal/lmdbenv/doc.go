// Package lmdbenv opens LMDB environments the one way this project uses them,
// for the log, its index and the views.
//
// An environment is a directory with a map that is reserved once, huge and
// sparse, and never resized: resizing would unmap what readers hold. Every
// commit is fully synced. Readers are short: their transactions come from a
// pool, and [Env.Close] waits for them, so that no bytes of the map are touched
// after it is gone.
//
// It is the only package that imports lmdb-go; the others use the names it
// passes on. So a build without cgo fails in one place, with the remedy.
package lmdbenv
