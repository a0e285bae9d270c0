package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

// fields is a record as dump.js and dump.py print it.
type fields struct {
	ID          string      `json:"id"`
	Position    uint64      `json:"position"`
	Version     uint64      `json:"version"`
	Stream      string      `json:"stream"`
	Type        string      `json:"type"`
	Schema      string      `json:"schema"`
	Tags        []string    `json:"tags"`
	Data        string      `json:"data"`
	Causation   *string     `json:"causation"`
	Correlation *string     `json:"correlation"`
	Metadata    [][2]string `json:"metadata"`
	BatchSeq    int         `json:"batch_seq"`
	BatchSize   int         `json:"batch_size"`
	BatchKey    *string     `json:"batch_key"`
	SHA256      string      `json:"sha256"`
}

// reader is one of the files in docs/clients.
type reader struct{ language, program, script string }

var readers = []reader{
	{"JavaScript", "node", "dump.js"},
	{"Python", "python3", "dump.py"},
}

// TestRecords reads every field of a page in each language and in Go.
func TestRecords(t *testing.T) {
	t.Parallel()
	page, want := samplePage(t)
	asJSON, err := json.Marshal("\x00" + base64.StdEncoding.EncodeToString(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		for _, form := range []struct {
			name  string
			input []byte
			args  []string
		}{
			{"binary", page, nil},
			{"json", asJSON, []string{"json"}},
		} {
			t.Run(r.language+"/"+form.name, func(t *testing.T) {
				t.Parallel()
				out, err := output(t, form.input, program(t, r.program), append([]string{r.script}, form.args...)...)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, parseFields(t, out)); diff != "" {
					t.Fatalf("%s reads other records than Go (-Go +%s):\n%s", r.script, r.language, diff)
				}
			})
		}
	}
}

// TestRecordsCutShort hands in pages that end too early: they are refused, and
// not a single record of less than its length comes out.
func TestRecordsCutShort(t *testing.T) {
	t.Parallel()
	page, want := samplePage(t)
	first, _, err := event.CutRecord(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		for _, length := range []int{2, len(first) - 8, len(first) + 4} {
			t.Run(fmt.Sprintf("%s/%d", r.language, length), func(t *testing.T) {
				t.Parallel()
				out, err := output(t, page[:length], program(t, r.program), r.script)
				if err == nil {
					t.Fatalf("%s accepts a page cut to %d bytes: %s", r.script, length, out)
				}
				whole := 0
				if length > len(first) {
					whole = 1
				}
				if diff := cmp.Diff(want[:whole], parseFields(t, out)); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", r.script, diff)
				}
			})
		}
	}
}

// TestEmptyPage is a page all the same.
func TestEmptyPage(t *testing.T) {
	t.Parallel()
	for _, r := range readers {
		t.Run(r.language, func(t *testing.T) {
			t.Parallel()
			out, err := output(t, nil, program(t, r.program), r.script)
			if err != nil || len(out) > 0 {
				t.Fatalf("printed %q, error %v", out, err)
			}
		})
	}
}

func parseFields(t *testing.T, printed []byte) []fields {
	t.Helper()
	got := []fields{}
	for decoder := json.NewDecoder(bytes.NewReader(printed)); ; {
		var f fields
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			t.Fatalf("what was printed is not JSON: %v", err)
		}
		got = append(got, f)
	}
}

// samplePage builds records that between them have every field, absent and
// present, with the extremes of each.
func samplePage(t *testing.T) (page []byte, want []fields) {
	t.Helper()
	causation := ulid.MustParse("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	highest := ulid.MustParse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
	appends := []event.Append{
		{Stream: "account-1", Events: []event.Proposed{{Type: "bank.account.Opened", Data: []byte{4, 0, 0, 0}}}},
		{Stream: "account-ß-2", Key: "pay/7", Events: []event.Proposed{
			{
				Type: "bank.account.Deposited", Data: bytes.Repeat([]byte{0xff, 0, 7}, 70_001), Tags: []string{"owner:Åse 🦊", "n:1"},
				Metadata: []event.Meta{{Key: "who", Value: "ada"}, {Key: "empty", Value: ""}}, Causation: causation, Correlation: highest,
			},
			{Type: "bank.account.Closed", Stream: "other", Data: []byte{}, Tags: []string{"a:"}},
		}},
	}
	position := uint64(1<<53 - 4)
	id := ulid.MustNewDefault(time.UnixMilli(1_700_000_000_000))
	for _, a := range appends {
		for i := range a.Events {
			record, err := event.BuildRecord(&a, i, 0xfedcba9876543210>>(4*i), a.Events[i].Tags)
			if err != nil {
				t.Fatal(err)
			}
			position++
			id[15]++
			event.Seal(record, id, position, uint64(i+1))
			page = append(page, record...)
			want = append(want, fieldsOf(event.Trusted(record)))
		}
	}
	return page, want
}

// fieldsOf is what the record says in Go.
func fieldsOf(e event.Event) fields {
	f := fields{
		ID: e.ID().String(), Position: e.Position(), Version: e.Version(), Stream: e.Stream(), Type: e.Type(),
		Schema: fmt.Sprintf("%016x", e.Schema()), Tags: []string{}, Data: hex.EncodeToString(e.Data()), Metadata: [][2]string{},
		BatchSeq: e.BatchSeq(), BatchSize: e.BatchSize(),
	}
	for tag := range e.Tags() {
		f.Tags = append(f.Tags, strings.Clone(tag))
	}
	for key, value := range e.Metadata() {
		f.Metadata = append(f.Metadata, [2]string{key, value})
	}
	if id := e.Causation(); !id.IsZero() {
		f.Causation = pointer(id.String())
	}
	if id := e.Correlation(); !id.IsZero() {
		f.Correlation = pointer(id.String())
	}
	if key := e.BatchKey(); key != "" {
		f.BatchKey = pointer(key)
	}
	sum := sha256.Sum256(e.Record())
	f.SHA256 = hex.EncodeToString(sum[:])
	return f
}

func pointer(s string) *string { return &s }
