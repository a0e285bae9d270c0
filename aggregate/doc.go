// Package aggregate turns commands into events.
//
// A [Handler] loads an aggregate by folding its stream, lets the user's decider
// decide, and appends what was decided on the condition that every stream the
// decision looked at is still where it was. When another writer was faster it
// loads and decides again, a bounded number of times: a decision must be a pure
// function of state and command.
//
// Users do not call this package much: es generate writes a typed handler, a
// typed decision and a Decider interface for every aggregate of a schema, on
// top of it. The package needs no cgo and works on any [event.Log], local or
// remote.
package aggregate
