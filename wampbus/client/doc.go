// Package client is the Go client of a bus: a log, its commands and its views
// over WAMP, protocol 1 (docs/PROTOCOL.md), without cgo.
//
// A [Client] is an [event.Log], so that aggregates and projections run on a
// remote log as they do on a local one; event.Subscribe on it is lossless:
// it pages, keeps one call waiting at the server and goes on from its last
// position. [Client.SubscribeTopic] is faster and only a hint: whoever sees that
// Previous is not the last position it has reads the difference.
//
// Whatever arrives is verified before it is read: structure and checksum of
// every record. A connection that breaks fails all calls in flight; the client
// does not reconnect, see [Client.Done].
package client
