package commit

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
)

// A batch finds what looking at each of its events finds, at any size on its way.
func TestAcceptedFindsTheFirst(t *testing.T) {
	t.Parallel()
	types, tags := []string{"a.b.One", "a.b.Two", "a.c.One"}, []string{"k:1", "k:2", "l:1"}
	rapid.Check(t, func(rt *rapid.T) {
		var batch []event.Event
		var a accepted
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			position := uint64(len(batch) + 8)
			p := event.Proposed{Type: rapid.SampledFrom(types).Draw(rt, "type"), Data: make([]byte, 8)}
			p.Tags = rapid.SliceOfNDistinct(rapid.SampledFrom(tags), 0, 3, rapid.ID).Draw(rt, "tags")
			e := proposal(t, event.Append{Stream: "s", Events: []event.Proposed{p}}).Events[0]
			event.Seal(e.Record(), event.ID{15: byte(position)}, position, 1)
			batch = append(batch, e)
			if rapid.Bool().Draw(rt, "grow") {
				a.grow(batch)
			}
		}
		a.grow(batch)
		var q event.Query
		for range rapid.IntRange(1, 3).Draw(rt, "items") {
			q = append(q, event.Item{
				Types: rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(types), "a.", "a.b.", "a.b.O", "x.")), 0, 2).Draw(rt, "types"),
				Tags:  rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(tags), "none:1")), 0, 2).Draw(rt, "tags"),
			})
		}
		after := rapid.Uint64Range(0, 20).Draw(rt, "after")
		var want uint64
		for _, e := range batch {
			if e.Position() > after && q.Matches(e) {
				want = e.Position()
				break
			}
		}
		if got := a.match(q, after); got != want {
			rt.Fatalf("%+v after %d: position %d, want %d", q, after, got, want)
		}
	})
}
