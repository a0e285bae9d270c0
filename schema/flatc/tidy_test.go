package flatc

import (
	"errors"
	"go/format"
	"slices"
	"strings"
	"testing"
)

const lowLevelGo = `package fb

import (
	flatbuffers "github.com/google/flatbuffers/go"
	"math"
	"strconv"
)

/// What it is.
type T struct {
	_tab flatbuffers.Table
}

/// A field.
func (rcv *T) Rate() float64 {
	return float64(math.NaN())
}
/// A field.
func (rcv *T) MutateRate(n float64) bool {
	return rcv._tab.MutateFloat64Slot(4, n)
}
func (rcv *T) MutateThis() []byte {
	return rcv._tab.ByteVector(6)
}
`

func TestTidyGo(t *testing.T) {
	t.Parallel()
	got, err := TidyGo([]byte(lowLevelGo))
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, gone := range []string{"MutateRate", "strconv", "///"} {
		if strings.Contains(text, gone) {
			t.Errorf("still has %s:\n%s", gone, text)
		}
	}
	for _, kept := range []string{`"math"`, "func (rcv *T) Rate() float64", "func (rcv *T) MutateThis() []byte", "// What it is.\ntype T"} {
		if !strings.Contains(text, kept) {
			t.Errorf("has lost %s:\n%s", kept, text)
		}
	}
	if formatted, err := format.Source(got); err != nil || string(formatted) != text {
		t.Errorf("not gofmt's (%v)", err)
	}
}

func TestTidyGoReportsDuplicates(t *testing.T) {
	t.Parallel()
	_, err := TidyGo([]byte(lowLevelGo + "func (rcv *T) Rate() int { return 0 }\nfunc F() {}\nfunc F() {}\n"))
	twice := (*DuplicateError)(nil)
	if !errors.As(err, &twice) || !slices.Equal(twice.Names, []string{"T.Rate", "F"}) {
		t.Errorf("%v", err)
	}
	if _, err := TidyGo([]byte("not Go")); err == nil {
		t.Error("accepts what is not Go")
	}
}
