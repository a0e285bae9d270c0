package verify

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
)

const monsterType = "MyGame.Example.Monster"

func identifiedMonster(t *testing.T) *Plan {
	t.Helper()
	plan, err := compileTestdata(t, "monster_test.bfbs", monsterType).WithIdentifier()
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// What other languages' tests finished with an identifier passes, without and
// with a size prefix, and so does what has room for nothing else.
func TestWithIdentifierAccepts(t *testing.T) {
	t.Parallel()
	plan := identifiedMonster(t)
	for _, name := range []string{"monsterdata_test.mon", "monsterdata_python_wire.mon"} {
		data := testdata(t, name)
		if string(data[4:8]) != "MONS" {
			t.Fatalf("%s has no identifier", name)
		}
		if err := plan.Verify(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := plan.VerifyExact(data); err != nil {
			t.Errorf("%s, exactly: %v", name, err)
		}
	}
	if err := plan.VerifySizePrefixed(testdata(t, "monsterdata_go_wire.mon.sp")); err != nil {
		t.Errorf("size prefixed: %v", err)
	}
}

func TestWithIdentifierRefuses(t *testing.T) {
	t.Parallel()
	loose, plan := compileTestdata(t, "monster_test.bfbs", monsterType), identifiedMonster(t)
	data := testdata(t, "monsterdata_test.mon")
	for at := 4; at < 8; at++ {
		for bit := range 8 {
			data[at] ^= 1 << bit
			err := plan.Verify(data)
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Offset != 4 || !strings.Contains(wrong.Message, `not "MONS"`) {
				t.Errorf("byte %d: %v", at, err)
			}
			if err := loose.Verify(data); err != nil {
				t.Errorf("byte %d, not asked for: %v", at, err)
			}
			data[at] ^= 1 << bit
		}
	}
	for n := range 8 {
		if err := plan.Verify(data[:n]); err == nil {
			t.Errorf("%d bytes were accepted", n)
		}
	}
}

// monsterHolding is a monster whose nested monster is finished as said.
func monsterHolding(identified bool) []byte {
	b := flatbuffers.NewBuilder(0)
	monster := func(nested flatbuffers.UOffsetT) flatbuffers.UOffsetT {
		name := b.CreateString("Nested")
		b.StartObject(14)
		b.PrependUOffsetTSlot(3, name, 0)
		b.PrependUOffsetTSlot(13, nested, 0)
		return b.EndObject()
	}
	if root := monster(0); identified {
		b.FinishWithFileIdentifier(root, []byte("MONS"))
	} else {
		b.Finish(root)
	}
	inner := bytes.Clone(b.FinishedBytes())
	b.Reset()
	b.StartVector(1, len(inner), 8)
	for i := len(inner) - 1; i >= 0; i-- {
		b.PrependByte(inner[i])
	}
	b.FinishWithFileIdentifier(monster(b.EndVector(len(inner))), []byte("MONS"))
	return b.FinishedBytes()
}

// A nested buffer of the root_type is such a file, too.
func TestWithIdentifierLooksIntoNestedBuffers(t *testing.T) {
	t.Parallel()
	loose, plan := compileTestdata(t, "monster_test.bfbs", monsterType), identifiedMonster(t)
	for _, identified := range []bool{true, false} {
		data := monsterHolding(identified)
		if err := loose.Verify(data); err != nil {
			t.Fatalf("identified %v, not asked for: %v", identified, err)
		}
		err := plan.Verify(data)
		var wrong *Error
		if identified {
			if err != nil {
				t.Error(err)
			}
		} else if !errors.As(err, &wrong) || wrong.Path != "testnestedflatbuffer" {
			t.Errorf("nested without: %v", err)
		}
	}
}

// Where the schema says nothing of a table, nothing can be demanded.
func TestWithIdentifierNeedsOne(t *testing.T) {
	t.Parallel()
	for table, binary := range map[string]*Binary{
		"MyGame.Example.Stat": openTestdata(t, "monster_test.bfbs"), // reachable, and not the root_type
		"shapes.Six":          openTestdata(t, "shapes.bfbs"),
	} {
		plan, err := binary.Compile(table)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plan.WithIdentifier(); err == nil || !strings.Contains(err.Error(), table) {
			t.Errorf("%s: %v", table, err)
		}
		plans, _ := binary.CompileAll()
		if _, err := plans[table].WithIdentifier(); err == nil {
			t.Errorf("%s, compiled with all: no error", table)
		}
	}
	plans, _ := openTestdata(t, "monster_test.bfbs").CompileAll()
	plan, err := plans[monsterType].WithIdentifier()
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Verify(monsterHolding(false)); err == nil {
		t.Error("compiled with all, the identifier is not demanded")
	}
}

// A record is a file of es.fbs, whose identifier nothing but a record has.
func TestRecordsHaveTheirIdentifier(t *testing.T) {
	t.Parallel()
	loose, err := CompileBFBS(es.BFBS, "es.Event")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := loose.WithIdentifier()
	if err != nil {
		t.Fatal(err)
	}
	record := buildRecord()
	if err := plan.VerifySizePrefixed(record); err != nil {
		t.Error(err)
	}
	copy(record[8:], "XXXX")
	if err := plan.VerifySizePrefixed(record); err == nil || !strings.Contains(err.Error(), "ESEV") {
		t.Errorf("another identifier: %v", err)
	}
}
