package compat_test

import (
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/schema/verify"
)

// TestVerifierAgrees builds data of one version that the verifier of the other
// refuses, where a rule says that it does, and takes, where there is no rule.
func TestVerifierAgrees(t *testing.T) {
	t.Parallel()
	full := func(b *flatbuffers.Builder) { // a:int, b:string
		text := b.CreateString("text")
		b.StartObject(2)
		b.PrependInt32Slot(0, 7, 0)
		b.PrependUOffsetTSlot(1, text, 0)
		b.Finish(b.EndObject())
	}
	scalar := func(b *flatbuffers.Builder) { // a:int
		b.StartObject(1)
		b.PrependInt32Slot(0, 7, 0)
		b.Finish(b.EndObject())
	}
	second := func(b *flatbuffers.Builder) { // u: the union's second member
		b.StartObject(1)
		member := b.EndObject()
		b.StartObject(2)
		b.PrependByteSlot(0, 2, 0)
		b.PrependUOffsetTSlot(1, member, 0)
		b.Finish(b.EndObject())
	}
	bytes := func(b *flatbuffers.Builder) { // a:[ubyte], no buffer of anything
		a := b.CreateByteVector([]byte{1, 2, 3})
		b.StartObject(1)
		b.PrependUOffsetTSlot(0, a, 0)
		b.Finish(b.EndObject())
	}
	for _, c := range []struct {
		pair           string
		writer, reader string
		build          func(*flatbuffers.Builder)
		taken          bool
	}{
		{"append-field", "old", "new", full, true},
		{"append-field", "new", "old", full, true},
		{"deprecate-field", "old", "new", full, true},
		{"deprecate-field", "new", "old", scalar, true},
		{"field-deleted", "old", "new", full, true},
		{"required-added", "old", "new", scalar, false},
		{"required-added", "new", "old", full, true},
		{"required-added-new", "old", "new", scalar, false},
		{"required-dropped", "old", "new", full, true},
		{"required-dropped", "new", "old", scalar, false},
		{"required-deprecated", "new", "old", scalar, false},
		{"required-deprecated", "old", "new", full, true},
		{"union-member-added", "new", "old", second, false},
		{"union-member-removed", "old", "new", second, false},
		{"nested-added", "old", "new", bytes, false},
		{"nested-dropped", "new", "old", bytes, false},
	} {
		b := flatbuffers.NewBuilder(0)
		c.build(b)
		for version, taken := range map[string]bool{c.writer: true, c.reader: c.taken} {
			plan, err := verify.CompileBFBS(read(t, c.pair, version+".bfbs"), "t.T")
			if err != nil {
				t.Fatal(err)
			}
			if err := plan.Verify(b.FinishedBytes()); (err == nil) != taken {
				t.Errorf("%s: data of %s verified by %s: %v, want taken %t", c.pair, c.writer, version, err, taken)
			}
		}
	}
}
