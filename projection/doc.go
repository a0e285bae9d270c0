// Package projection keeps views: tables of rows with secondary indexes, folded
// from a log of events and read in place.
//
//	views, err := projection.Open("data/views", store, projection.Options{}, accountview.Balances(balances{}))
//	defer views.Close()
//	err = views.At(ctx, receipt.Position, func(s *projection.Snapshot) error {
//		row, found, err := accountview.BalancesIn(s).Get("42")
//		…
//	})
//
// An [Engine] follows one [event.Reader], local or remote. It hands every event
// to the views that want it and commits their rows, their index entries and the
// position reached in one LMDB transaction, so each event counts exactly once,
// also across crashes. Views that are live advance together: a [Snapshot] shows
// all of them as of one position. A handler that fails parks its own view at
// that event and no other. Whatever is in a view can be thrown away and built
// again from the log ([Engine.Rebuild]); nothing in it is the truth.
//
// Rows are the size-prefixed FlatBuffers of a schema's view tables, stored as
// they are packed and handed out as they are stored. Names, primary keys and
// indexes come from the schema; the typed layer on top of this package is
// generated.
//
// Reads are short: bytes and iterators from a snapshot are valid until the
// function it was passed to returns. A snapshot that stays open keeps LMDB from
// reusing pages, so do not wait for anything inside one.
package projection
