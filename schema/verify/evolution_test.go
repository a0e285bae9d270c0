package verify

import (
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// leaf builds a shapes.Leaf with the fields of newer.fbs; colour is left out
// when empty.
func leaf(colour string) []byte {
	b := flatbuffers.NewBuilder(0)
	name, c := b.CreateString("oak"), b.CreateString(colour)
	b.StartObject(3)
	b.PrependUOffsetTSlot(0, name, 0)
	b.PrependUint64Slot(1, 9, 0)
	if colour != "" {
		b.PrependUOffsetTSlot(2, c, 0)
	}
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

func TestOlderAndNewerWriters(t *testing.T) {
	t.Parallel()
	older, newer := compileTestdata(t, "older.bfbs", "shapes.Leaf"), compileTestdata(t, "newer.bfbs", "shapes.Leaf")
	with, without := leaf("green"), leaf("")
	for name, err := range map[string]error{
		"data without the new field, by the newer":         newer.Verify(without),
		"data without the new field, exactly by the newer": newer.VerifyExact(without),
		"data without the new field, exactly by the older": older.VerifyExact(without),
		"data with the new field, by the older":            older.Verify(with),
		"data with the new field, exactly by the newer":    newer.VerifyExact(with),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantMessage(t, older.VerifyExact(with), "shapes.Leaf has no field of id 2")
}

// What an older plan steps over may be anything. That is why a store asks for
// exactness: the newer plan sees what the older reader could not.
func TestSteppedOverIsNotChecked(t *testing.T) {
	t.Parallel()
	older, newer := compileTestdata(t, "older.bfbs", "shapes.Leaf"), compileTestdata(t, "newer.bfbs", "shapes.Leaf")
	data := leaf("green")
	table := flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	flatbuffers.WriteUOffsetT(data[table.Pos+flatbuffers.UOffsetT(table.Offset(8)):], 1<<30)
	if err := older.Verify(data); err != nil {
		t.Error(err)
	}
	wantMessage(t, newer.Verify(data), "leads outside")
	wantMessage(t, older.VerifyExact(data), "no field of id 2")
}

func TestUnionTagOfANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	older, newer := compileTestdata(t, "older.bfbs", "shapes.Holder"), compileTestdata(t, "newer.bfbs", "shapes.Holder")
	holder := func(tag byte) []byte {
		b := flatbuffers.NewBuilder(0)
		b.StartObject(1)
		memo := b.EndObject()
		b.StartObject(2)
		b.PrependByteSlot(0, tag, 0)
		b.PrependUOffsetTSlot(1, memo, 0)
		b.Finish(b.EndObject())
		return b.FinishedBytes()
	}
	const note, gap, memo, nobody = 2, 5, 9, 200
	for _, plan := range []*Plan{older, newer} {
		if err := plan.Verify(holder(note)); err != nil {
			t.Error(err)
		}
		wantMessage(t, plan.Verify(holder(nobody)), "tag 200, which is not in this schema")
	}
	wantMessage(t, newer.Verify(holder(gap)), "tag 5, which is not in this schema")
	if err := newer.Verify(holder(memo)); err != nil {
		t.Error(err)
	}
	wantMessage(t, older.Verify(holder(memo)), "tag 9, which is not in this schema")
}

func TestDeprecatedFieldsAreChecked(t *testing.T) {
	t.Parallel()
	const gone = 15
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	wantMessage(t, plan.Verify(node(gone, 1<<20)), "leads outside")
	if err := plan.Verify(node(gone, 4, uint32(0))); err != nil {
		t.Error(err)
	}
}
