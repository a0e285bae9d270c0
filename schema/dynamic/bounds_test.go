package dynamic

import (
	"errors"
	"io"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// failing is a writer that takes nothing.
type failing struct{}

var errFailing = errors.New("no space")

func (failing) Write([]byte) (int, error) { return 0, errFailing }

// shared builds a features.All whose children are the same empty table many
// times: 4 bytes each, but as text all the defaults.
func shared(t *testing.T, all *Table, times int) []byte {
	t.Helper()
	children := all.object.byName["children"].id
	b := flatbuffers.NewBuilder(0)
	b.StartObject(1)
	leaf := b.EndObject()
	b.StartVector(4, times, 4)
	for range times {
		b.PrependUOffsetT(leaf)
	}
	vector := b.EndVector(times)
	b.StartObject(children + 1)
	b.PrependUOffsetTSlot(children, vector, 0)
	b.Finish(b.EndObject())
	data := b.FinishedBytes()
	if err := all.Verify(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTextIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() || raceEnabled {
		t.Skip("makes much text")
	}
	s := compileTestdata(t, "features.bfbs")
	all := tableOf(t, s, "features.All")
	one, err := all.AppendJSON(nil, shared(t, all, 1))
	if err != nil {
		t.Fatal(err)
	}
	two, err := all.AppendJSON(nil, shared(t, all, 2))
	if err != nil {
		t.Fatal(err)
	}
	long := shared(t, all, MaxText/(len(two)-len(one))+1)
	if got, err := all.AppendJSON([]byte("before"), long); !errors.Is(err, ErrTooLong) || string(got) != "before" {
		t.Errorf("from %d bytes: %d bytes of text, %v", len(long), len(got), err)
	}
	var written counter
	if err := all.WriteJSON(&written, long); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	if written.total > MaxText+flushed || written.largest > 64<<10 {
		t.Errorf("%d bytes were written, up to %d at once", written.total, written.largest)
	}
}

// counter counts what is written.
type counter struct{ total, largest int }

func (c *counter) Write(b []byte) (int, error) {
	c.total += len(b)
	c.largest = max(c.largest, len(b))
	return len(b), nil
}

func TestWritingHoldsLittle(t *testing.T) {
	t.Parallel()
	all := features(t)
	data := parse(t, all, `{"label":"`+strings.Repeat(`\u0001`, 1<<20)+`","bytes":"`+strings.Repeat("AAAA", 1<<20)+`","names":["`+strings.Repeat("x", 1<<20)+`"]}`)
	for name, write := range map[string]func(io.Writer, []byte) error{"json": all.WriteJSON, "tree": all.WriteTree} {
		var written counter
		if err := write(&written, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if written.largest > 128<<10 {
			t.Errorf("%s: %d bytes at once", name, written.largest)
		}
	}
}

func TestAWriterThatFails(t *testing.T) {
	t.Parallel()
	all := features(t)
	for _, text := range []string{`{}`, `{"label":"` + strings.Repeat("x", 1<<20) + `"}`} {
		data := parse(t, all, text)
		if err := all.WriteJSON(failing{}, data); !errors.Is(err, errFailing) {
			t.Errorf("%v", err)
		}
		if err := all.WriteTree(failing{}, data); !errors.Is(err, errFailing) {
			t.Errorf("%v", err)
		}
	}
}
