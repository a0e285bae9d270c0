// Package upcast reads old events as what would be written today.
//
// A schema may only grow: a field that turned out wrong stays for ever, and so
// does an event that should have been two. Upcasters free the code from that
// past. A [Rule] is a pure function from an event of one type, as certain
// versions of its schema declare it, to events of the types that took its
// place; a [Set] of them is applied wherever events are read for their meaning:
//
//	aggregate.Options.Upcasters    states are folded from what it makes
//	projection.Options.Upcasters   views see what it makes
//	upcast.Set.Events              everywhere else
//
// Nothing is rewritten. The log, the bus, replays and backups have the stored
// bytes, and [event.Event.Record] of an upcast event returns them; queries,
// conditions and subscriptions select by the stored type and the stored tags.
// The events that one event becomes share its position, version, stream, id,
// tags and metadata.
//
// Rules chain: what a rule makes is looked up again, so that each names only
// the step to what came next. A rule that leads back to itself is refused.
package upcast
