package event

import (
	"encoding/binary"
	"iter"
	"time"
)

// DefaultPageBytes is the size of a page when none is asked for.
const DefaultPageBytes = 256 << 10

// PageOptions bounds one page.
type PageOptions struct {
	// MaxBytes is the largest page, in bytes; 0 means [DefaultPageBytes]. A
	// single record larger than that is a page of its own.
	MaxBytes int
	// Wait is how long to wait for a first match when there is none yet.
	// Forward only.
	Wait time.Duration
	// Store, unless zero, is the store the caller's position belongs to;
	// another one answers [*StoreChangedError].
	Store ID
	// Buffer, unless nil, is memory that a log in this process puts the records
	// into, as append would. The page is then valid until the buffer is used for
	// another one; the next buffer may be its Records.
	Buffer []byte
}

// Page is a run of records, concatenated as stored, and where it leaves off.
// Last, Head and More come from one snapshot of the log.
type Page struct {
	// Records are size-prefixed FlatBuffers, one after the other. They belong
	// to the receiver, who may keep them, unless they are in the Buffer that it
	// gave.
	Records []byte
	// Count is the number of records.
	Count int
	// Last is the last position examined: continue with After = Last.
	Last uint64
	// Head is the log's last position.
	Head uint64
	// More is true when the limit, the bytes or the scan bound ended the page.
	// Forwards, More false means Last equals Head; backwards, it is the end.
	More bool
	// Store is the store the positions belong to.
	Store ID
	// Checked is set by a log in this process that has verified the records:
	// Events then does not verify them again.
	Checked bool
}

// Events yields the page's events in order. Records that were not checked when
// the page was made are verified here: an invalid one ends the sequence with
// its error.
func (p Page) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for rest := p.Records; len(rest) > 0; {
			record, tail, err := CutRecord(rest)
			if err != nil {
				yield(Event{}, err)
				return
			}
			var e Event
			if p.Checked {
				e = Trusted(record)
			} else {
				e, err = Decode(record)
			}
			if !yield(e, err) || err != nil {
				return
			}
			rest = tail
		}
	}
}

// CutRecord splits the first record off a page. It checks that the record's
// length is within the page, not what is in it.
func CutRecord(page []byte) (record, rest []byte, err error) {
	if len(page) < 4 {
		return nil, nil, &CorruptError{Message: "a page ends inside a size prefix"}
	}
	n := uint64(binary.LittleEndian.Uint32(page)) + 4
	if n > uint64(len(page)) {
		return nil, nil, &CorruptError{Message: "a page ends inside a record"}
	}
	return page[:n:n], page[n:], nil
}
