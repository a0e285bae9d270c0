package main

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/verbatim-es/verbatim/event"
)

// recordHash is the sha-256 over records in position order. It refuses a
// record out of order: a hash over anything else would mean nothing.
type recordHash struct {
	hash hash.Hash
	last uint64
}

func newRecordHash() *recordHash { return &recordHash{hash: sha256.New()} }

func (h *recordHash) add(e event.Event) bool {
	if e.Position() != h.last+1 {
		return false
	}
	h.last++
	h.hash.Write(e.Record())
	return true
}

func (h *recordHash) String() string { return hex.EncodeToString(h.hash.Sum(nil)) }
