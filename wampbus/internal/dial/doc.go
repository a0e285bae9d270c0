// Package dial connects to WAMP routers: WebSocket and RawSocket, each with
// TLS or without. A [Link] carries whole messages, bounded in size and in time:
// a router that falls silent, or takes nothing, ends the link.
package dial
