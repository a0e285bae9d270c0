// Package wampbus serves a log, its views and its command handlers over WAMP:
// protocol 1, docs/PROTOCOL.md. Any WAMP v2 client is a full client.
//
//	bus, err := wampbus.New(wampbus.Options{
//		Log: store, Schemas: store.Schemas(), Views: views,
//		Handlers:  []wampbus.CommandHandler{accounts},
//		Anonymous: wampbus.Reader, // who does not log in, from this machine
//	})
//	defer bus.Close()
//	err = bus.ServeWebSocket(ctx, listener) // until ctx ends
//
// A [Bus] is a router (nexus, embedded) with a session of its own, which answers
// calls. What was committed it puts into its subscribers' queues itself, encoded
// once for all of them. Remote clients attach through this package's own
// transports, which promise what the router's do not:
//
//   - Nothing is ever lost silently. What a session is sent waits in a queue
//     bounded in bytes; a session that lets it run full is ended and told so.
//     Its client reads on from its last position: the log is the truth, live
//     events are a fast hint.
//   - A slow or hostile client harms its own session only. Its bytes are decoded
//     strictly before the router sees them, and reading a page waits for room in
//     the caller's queue, never in anybody else's.
//   - A record is published and read as it was stored, byte for byte.
//
// Access is denied by default: see [Options].Anonymous and Users, and [Roles].
// docs/BUS.md is about running one.
package wampbus
