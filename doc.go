// Package verbatim is an event-sourcing framework: events are FlatBuffers,
// encoded once, and the same bytes are stored, projected, published and
// replayed.
//
// This package holds no code. Start with
//
//   - [github.com/verbatim-es/verbatim/eventstore], the durable log;
//   - [github.com/verbatim-es/verbatim/aggregate], commands into events;
//   - [github.com/verbatim-es/verbatim/projection], events into views;
//   - [github.com/verbatim-es/verbatim/wampbus], all of it for WAMP clients;
//   - [github.com/verbatim-es/verbatim/event], the terms they share;
//   - github.com/verbatim-es/verbatim/cmd/es, which generates Go from schemas;
//   - [github.com/verbatim-es/verbatim/examples/bank], a worked example.
package verbatim
