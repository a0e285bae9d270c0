// Package rawsocket is the framing of WAMP RawSocket, for both ends: four octets
// each way, then frames of a kind, a length of three octets and a payload (The
// WAMP Specification, "RawSocket Transport").
package rawsocket
