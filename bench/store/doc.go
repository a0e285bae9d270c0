// Store measures durable appends side by side: Verbatim, what Go programs keep
// events in otherwise, and the disk itself. All of it runs in one process, one
// after the other and again, so that a disk that changes its pace changes it for
// all.
//
//	go -C bench run ./store append -seconds 60 -runs 5
//	go -C bench run ./store append -seconds 60 -runs 5 -appenders 64 -only 'verbatim|pebble|disk'
//	go -C bench run ./store grow -events 10000000 -streams 1000000
//
// "append" is about single events: every appender waits for its append to be on
// the disk before it makes the next. "grow" fills a store of Verbatim's with
// batches, and then measures what a store of that size costs: reads by name,
// conditions, the way to a subscriber that waits, replay, and opening it, also
// after its process was killed.
//
// Both want an idle machine, and write their stores below -dir, which must be
// on the disk in question. They print a table in Markdown.
package main

//go:generate go -C ../.. run ./cmd/es generate bench/store/ledger.fbs
