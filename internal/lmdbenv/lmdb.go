//go:build cgo

package lmdbenv

import (
	"errors"
	"syscall"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// What lmdb-go offers and this project uses. Left out on purpose: nested
// transactions and GetMultiple, which have bugs.
type (
	Txn    = lmdb.Txn
	Cursor = lmdb.Cursor
	DBI    = lmdb.DBI
)

// Operations of a cursor and flags of a put.
const (
	First    = lmdb.First
	Last     = lmdb.Last
	Next     = lmdb.Next
	Prev     = lmdb.Prev
	Set      = lmdb.Set
	SetKey   = lmdb.SetKey
	SetRange = lmdb.SetRange
	Current  = lmdb.GetCurrent

	Append      = lmdb.Append
	NoOverwrite = lmdb.NoOverwrite
)

// MaxKey is the longest key, in bytes.
const MaxKey = 511

// IsNotFound reports whether a key, or anything further, does not exist.
func IsNotFound(err error) bool { return lmdb.IsNotFound(err) }

// IsKeyExist reports whether a put met a key that is there already, or with
// Append one that is not behind the last.
func IsKeyExist(err error) bool { return lmdb.IsErrno(err, lmdb.KeyExist) }

// IsNoSpace reports whether the disk, a quota or the map is full.
func IsNoSpace(err error) bool {
	if space := (*SpaceError)(nil); errors.As(err, &space) {
		return true
	}
	var op *lmdb.OpError
	if !errors.As(err, &op) {
		return false
	}
	switch op.Errno {
	case lmdb.MapFull, syscall.ENOSPC, syscall.EDQUOT:
		return true
	}
	return false
}

// IsDamaged reports whether LMDB could make nothing of a file, or the file is
// cut off.
func IsDamaged(err error) bool {
	if damaged := (*DamagedError)(nil); errors.As(err, &damaged) {
		return true
	}
	var op *lmdb.OpError
	if !errors.As(err, &op) {
		return false
	}
	switch op.Errno {
	case lmdb.Invalid, lmdb.VersionMismatch, lmdb.Corrupted, lmdb.PageNotFound:
		return true
	}
	return false
}
