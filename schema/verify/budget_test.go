package verify

import (
	"errors"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// chain builds a shapes.Node with that many tables under each other, each
// referring to the next in every one of the fields given.
func chain(length int, fields ...int) []byte {
	b := flatbuffers.NewBuilder(0)
	var next flatbuffers.UOffsetT
	for range length {
		b.StartObject(21)
		for _, field := range fields {
			b.PrependUOffsetTSlot(field, next, 0)
		}
		next = b.EndObject()
	}
	b.Finish(next)
	return b.FinishedBytes()
}

func wantMessage(t *testing.T, err error, says string) {
	t.Helper()
	var invalid *Error
	if !errors.As(err, &invalid) || !strings.Contains(invalid.Message, says) {
		t.Errorf("got %v, want %q", err, says)
	}
}

func TestDepthIsBounded(t *testing.T) {
	t.Parallel()
	const left = 1
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	if err := plan.Verify(chain(MaxDepth, left)); err != nil {
		t.Errorf("%d tables: %v", MaxDepth, err)
	}
	err := plan.Verify(chain(MaxDepth+1, left))
	wantMessage(t, err, "more than 64 tables deep")
	wantMessage(t, plan.Verify(chain(100_000, left)), "more than 64 tables deep")
	var invalid *Error
	if errors.As(err, &invalid); !strings.HasPrefix(invalid.Path, "left.left.left.") {
		t.Errorf("path %q", invalid.Path)
	}
}

// Two references to the same next table, 40 deep: 2^40 visits in a kilobyte.
func TestSharedTablesAreBounded(t *testing.T) {
	t.Parallel()
	const left, right = 1, 2
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	data := chain(40, left, right)
	if len(data) > 1024 {
		t.Fatalf("%d bytes", len(data))
	}
	wantMessage(t, plan.Verify(data), "too many times")
	if err := plan.Verify(chain(8, left, right)); err != nil {
		t.Errorf("a little sharing: %v", err)
	}
}

// sharedNames builds a shapes.Node whose names are one string, many times.
func sharedNames(count, length int) []byte {
	b := flatbuffers.NewBuilder(0)
	name := b.CreateString(strings.Repeat("x", length))
	b.StartVector(4, count, 4)
	for range count {
		b.PrependUOffsetT(name)
	}
	names := b.EndVector(count)
	b.StartObject(21)
	b.PrependUOffsetTSlot(4, names, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

func TestSharedStringsAreBounded(t *testing.T) {
	t.Parallel()
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	if err := plan.Verify(sharedNames(100_000, 100)); err != nil {
		t.Errorf("a label shared by many: %v", err)
	}
	wantMessage(t, plan.Verify(sharedNames(100_000, 1<<20)), "too many times")
}

// One string under many fields of one table, which no reference in between
// would stop.
func TestStringsSharedByFieldsAreBounded(t *testing.T) {
	t.Parallel()
	const fields = 200
	plan := &Plan{root: &table{lastDemanding: -1}, share: share}
	for range fields {
		plan.root.fields = append(plan.root.fields, field{kind: stringValue, size: referenceSize, mask: referenceMask})
		plan.root.targets, plan.root.names = append(plan.root.targets, target{}), append(plan.root.names, "s")
	}
	build := func(length int) []byte {
		b := flatbuffers.NewBuilder(0)
		text := b.CreateString(strings.Repeat("x", length))
		b.StartObject(fields)
		for i := range fields {
			b.PrependUOffsetTSlot(i, text, 0)
		}
		b.Finish(b.EndObject())
		return b.FinishedBytes()
	}
	if err := plan.Verify(build(100)); err != nil {
		t.Error(err)
	}
	wantMessage(t, plan.Verify(build(1<<20)), "too many times")
}

// A vector of vectors cannot be written in a schema, but tables that share one
// long vector can be in a vector.
func TestSharedVectorsAreBounded(t *testing.T) {
	t.Parallel()
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	b := flatbuffers.NewBuilder(0)
	empty := b.CreateString("")
	const count = 10_000
	b.StartVector(4, count, 4)
	for range count {
		b.PrependUOffsetT(empty)
	}
	names := b.EndVector(count)
	children := make([]flatbuffers.UOffsetT, count)
	for i := range children {
		b.StartObject(21)
		b.PrependUOffsetTSlot(4, names, 0)
		children[i] = b.EndObject()
	}
	vector := b.CreateVectorOfTables(children)
	b.StartObject(21)
	b.PrependUOffsetTSlot(3, vector, 0)
	b.Finish(b.EndObject())
	wantMessage(t, plan.Verify(b.FinishedBytes()), "too many times")
}

// sharedVector builds a shapes.Node with that many references to one other node,
// which has a vector of length elements of the given size in a field.
func sharedVector(count, field, size, length int) []byte {
	b := flatbuffers.NewBuilder(0)
	b.StartVector(size, length, 8)
	for range size * length / 8 {
		b.PrependUint64(0)
	}
	vector := b.EndVector(length)
	b.StartObject(21)
	b.PrependUOffsetTSlot(field, vector, 0)
	child := b.EndObject()
	b.StartVector(4, count, 4)
	for range count {
		b.PrependUOffsetT(child)
	}
	children := b.EndVector(count)
	b.StartObject(21)
	b.PrependUOffsetTSlot(3, children, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// The elements are not looked at here, but by who reads them: a filter over
// children[].bytes[] visits all.
func TestSharedElementsAreBounded(t *testing.T) {
	t.Parallel()
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	for name, vector := range map[string]struct{ field, size int }{
		"structs": {5, 8}, "doubles": {7, 8}, "bytes": {8, 1}, "bools": {9, 1},
	} {
		if err := plan.Verify(sharedVector(1, vector.field, vector.size, 4<<20)); err != nil {
			t.Errorf("%s, not shared: %v", name, err)
		}
		if err := plan.Verify(sharedVector(100_000, vector.field, vector.size, 64/vector.size)); err != nil {
			t.Errorf("a few %s shared by many: %v", name, err)
		}
		wantMessage(t, plan.Verify(sharedVector(100_000, vector.field, vector.size, 1<<20)), "too many times")
	}
}

// A nested buffer may be much longer than what its root reaches.
func TestSharedNestedBuffersAreBounded(t *testing.T) {
	t.Parallel()
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	const inner = 18
	b := flatbuffers.NewBuilder(0)
	name := b.CreateString("x")
	b.StartObject(2)
	b.PrependUOffsetTSlot(0, name, 0)
	b.Finish(b.EndObject())
	leaf := append(b.FinishedBytes(), make([]byte, 1<<20)...)
	build := func(count int) []byte {
		b := flatbuffers.NewBuilder(0)
		buffer := b.CreateByteVector(leaf)
		b.StartObject(21)
		b.PrependUOffsetTSlot(inner, buffer, 0)
		child := b.EndObject()
		b.StartVector(4, count, 4)
		for range count {
			b.PrependUOffsetT(child)
		}
		children := b.EndVector(count)
		b.StartObject(21)
		b.PrependUOffsetTSlot(3, children, 0)
		b.Finish(b.EndObject())
		return b.FinishedBytes()
	}
	if err := plan.Verify(build(1)); err != nil {
		t.Error(err)
	}
	wantMessage(t, plan.Verify(build(1000)), "too many times")
}

// Many references to one empty table, of a type with unions of high ids: each
// asks for the tag of every union.
func TestAbsentUnionsAreBounded(t *testing.T) {
	t.Parallel()
	unions := func(count int) *Plan {
		root := &table{
			fields:  []field{{kind: tableVector, size: referenceSize, mask: referenceMask}},
			targets: make([]target, 1+2*count), names: make([]string, 1+2*count), lastDemanding: 2 * count,
		}
		root.targets[0] = target{elemSize: referenceSize, elemMask: referenceMask, table: root}
		for i := range count {
			root.fields = append(root.fields, field{kind: inlineValue, size: 1}, field{kind: unionValue, size: referenceSize, mask: referenceMask, demanding: true})
			root.demanding = append(root.demanding, 2+2*i)
		}
		return &Plan{root: root, share: share}
	}
	b := flatbuffers.NewBuilder(0)
	b.StartObject(0)
	empty := b.EndObject()
	const count = 10_000
	b.StartVector(4, count, 4)
	for range count {
		b.PrependUOffsetT(empty)
	}
	all := b.EndVector(count)
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, all, 0)
	b.Finish(b.EndObject())
	data := b.FinishedBytes()
	if err := unions(20).Verify(data); err != nil {
		t.Errorf("a few unions: %v", err)
	}
	wantMessage(t, unions(16_000).Verify(data), "too many times")
}

func TestVectorLengthAllocatesNothing(t *testing.T) {
	const reals = 7
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	data := node(reals, 8, uint32(0), uint32(0xffffffff), uint64(0))
	allocs := testing.AllocsPerRun(10, func() { _ = plan.Verify(data) })
	if allocs > 20 {
		t.Errorf("%v allocations for one error", allocs)
	}
}
