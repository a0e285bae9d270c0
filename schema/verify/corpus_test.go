package verify

import (
	"os"
	"path/filepath"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func openTestdata(t testing.TB, name string) *Binary {
	t.Helper()
	binary, err := Open(testdata(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return binary
}

func compileTestdata(t testing.TB, name, table string) *Plan {
	t.Helper()
	plan, err := openTestdata(t, name).Compile(table)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return plan
}

// specimen is a valid buffer of the corpus.
type specimen struct {
	name   string
	binary *Binary
	table  string
	data   []byte
	prefix bool
}

func (s specimen) plan(t testing.TB) *Plan {
	t.Helper()
	plan, err := s.binary.Compile(s.table)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (s specimen) verify(plan *Plan, data []byte) error {
	if s.prefix {
		return plan.VerifySizePrefixed(data)
	}
	return plan.Verify(data)
}

func (s specimen) walk(data []byte) uint64 {
	if s.prefix {
		return walkAll(s.binary, s.table, data, 4)
	}
	return walkAll(s.binary, s.table, data, 0)
}

// corpus has every supported shape, from the builders of C++ (flatc's JSON
// import), Go and Python.
func corpus(t testing.TB) []specimen {
	t.Helper()
	shapes, monster := openTestdata(t, "shapes.bfbs"), openTestdata(t, "monster_test.bfbs")
	record, err := Open(es.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := Open(reflection.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	return []specimen{
		{"six", shapes, "shapes.Six", buildSix(), false},
		{"node", shapes, "shapes.Node", testdata(t, "node.bin"), false},
		{"record", record, "es.Event", buildRecord(), true},
		{"monster from C++", monster, "MyGame.Example.Monster", testdata(t, "monsterdata_test.mon"), false},
		{"monster from Go", monster, "MyGame.Example.Monster", testdata(t, "monsterdata_go_wire.mon.sp"), true},
		{"monster from Python", monster, "MyGame.Example.Monster", testdata(t, "monsterdata_python_wire.mon"), false},
		{"schema", meta, "reflection.Schema", testdata(t, "newer.bfbs"), false},
	}
}

// buildSix builds a shapes.Six with every field.
func buildSix() []byte {
	b := flatbuffers.NewBuilder(0)
	owner, currency := b.CreateString("ada lovelace"), b.CreateString("EUR")
	b.StartObject(6)
	b.PrependUint64Slot(0, 1<<40, 0)
	b.PrependUOffsetTSlot(1, owner, 0)
	b.PrependInt64Slot(2, -1, 0)
	b.PrependUOffsetTSlot(3, currency, 0)
	b.Prep(4, 8) // shapes.Point, inline
	b.PrependInt32(7)
	b.Pad(2)
	b.PrependInt16(3)
	b.PrependStructSlot(4, b.Offset(), 0)
	b.PrependBoolSlot(5, true, false)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// buildRecord builds an es.Event with every field.
func buildRecord() []byte {
	b := flatbuffers.NewBuilder(0)
	data := buildSix()
	b.StartVector(1, len(data), 8)
	for i := len(data) - 1; i >= 0; i-- {
		b.PlaceByte(data[i])
	}
	payload := b.EndVector(len(data))
	stream, typ, key, value := b.CreateString("account-42"), b.CreateString("bank.account.Opened"), b.CreateString("k"), b.CreateString("v")
	tag := b.CreateString("owner:ada")
	es.EventStartTagsVector(b, 1)
	b.PrependUOffsetT(tag)
	tags := b.EndVector(1)
	es.MetaStart(b)
	es.MetaAddKey(b, key)
	es.MetaAddValue(b, value)
	meta := es.MetaEnd(b)
	es.EventStartMetadataVector(b, 1)
	b.PrependUOffsetT(meta)
	metadata := b.EndVector(1)
	es.EventStart(b)
	es.EventAddId(b, es.CreateId(b, 1, 2))
	es.EventAddPosition(b, 1)
	es.EventAddVersion(b, 1)
	es.EventAddStream(b, stream)
	es.EventAddType(b, typ)
	es.EventAddSchema(b, 7)
	es.EventAddTags(b, tags)
	es.EventAddData(b, payload)
	es.EventAddCausation(b, es.CreateId(b, 3, 4))
	es.EventAddCorrelation(b, es.CreateId(b, 5, 6))
	es.EventAddMetadata(b, metadata)
	es.EventAddChecksum(b, 1)
	es.EventAddBatchSeq(b, 1)
	es.EventAddBatchSize(b, 2)
	es.EventAddBatchKey(b, key)
	es.FinishSizePrefixedEventBuffer(b, es.EventEnd(b))
	return b.FinishedBytes()
}
