package main

import "fmt"

// system is something that events can be kept in.
type system struct {
	name string
	// does is what an append includes, for the table.
	does string
	open func(dir string) (store, error)
	// most is how many appenders it can have, 0 for any number.
	most int
}

// store is a system that is open.
type store interface {
	// append stores one event. It is on the disk when append returns.
	append(p post) error
	// drain returns when nothing that follows the appends is behind.
	drain() error
	Close() error
}

// post is an event to append.
type post struct {
	stream string
	// version is the stream's before the append: only its own appender writes to
	// a stream.
	version uint64
	account string
	payload []byte
}

func (p post) key() []byte { return fmt.Appendf(nil, "%s|%012d", p.stream, p.version+1) }

// systems are all that are measured, the limit last.
var systems = []system{
	{name: "Verbatim", open: openVerbatim, does: "FlatBuffer built and verified, checksum, version checked, ULID and position; stream, category, type and a tag indexed"},
	{name: "bbolt Update", open: openBolt(false), does: "one value; nothing checked"},
	{name: "bbolt Batch", open: openBolt(true), does: "one value; nothing checked"},
	{name: "pebble Sync", open: openPebble, does: "one value; nothing checked"},
	{name: "badger SyncWrites", open: openBadger, does: "one value; nothing checked"},
	{name: "SQLite WAL FULL", open: openSQLite, does: "one row, its stream and version unique"},
	{name: "JetStream SyncAlways", open: openJetStream, does: "one message, its subject's last sequence not checked; embedded server"},
	{name: "hallgren on SQLite WAL FULL", open: openHallgren, does: "version checked, stream indexed"},
	{name: "UmaDB", open: openUmaDB, does: "type and two tags indexed, one of them the stream, and a condition on it; server in a process of its own, gRPC"},
	{name: "disk", open: openDisk, most: 1, does: "4 KiB written over zeros, fdatasync"},
}
