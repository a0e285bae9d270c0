package dynamic

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema"
)

func bank(t testing.TB) (*schema.Set, *Set) {
	t.Helper()
	schemas, err := schema.Load(schema.Sources{{Name: "bank.fbs", BFBS: testdata(t, "../../testdata/bank.bfbs")}})
	if err != nil {
		t.Fatal(err)
	}
	return schemas, NewSet(schemas)
}

// record is what a record is built from in tests.
type record struct {
	typ, stream, key string
	fingerprint      uint64
	data             []byte
	tags             []string
	metadata         [][2]string
	full             bool
}

func (r record) build() []byte {
	b := flatbuffers.NewBuilder(0)
	b.StartVector(1, len(r.data), 8)
	for i := len(r.data) - 1; i >= 0; i-- {
		b.PlaceByte(r.data[i])
	}
	data := b.EndVector(len(r.data))
	stream, typ, key := b.CreateString(r.stream), b.CreateString(r.typ), b.CreateString(r.key)
	var tags, metadata []flatbuffers.UOffsetT
	for _, tag := range r.tags {
		tags = append(tags, b.CreateString(tag))
	}
	tagVector := b.CreateVectorOfTables(tags)
	for _, pair := range r.metadata {
		k, v := b.CreateString(pair[0]), b.CreateString(pair[1])
		es.MetaStart(b)
		es.MetaAddKey(b, k)
		es.MetaAddValue(b, v)
		metadata = append(metadata, es.MetaEnd(b))
	}
	metadataVector := b.CreateVectorOfTables(metadata)
	es.EventStart(b)
	es.EventAddId(b, es.CreateId(b, 0x0199_0000_0000_0001, 0xffff_ffff_ffff_ffff))
	es.EventAddPosition(b, 42)
	es.EventAddVersion(b, 3)
	es.EventAddStream(b, stream)
	es.EventAddType(b, typ)
	es.EventAddSchema(b, r.fingerprint)
	es.EventAddData(b, data)
	if len(r.tags) > 0 {
		es.EventAddTags(b, tagVector)
	}
	if len(r.metadata) > 0 {
		es.EventAddMetadata(b, metadataVector)
	}
	es.EventAddBatchSize(b, 1)
	if r.full {
		es.EventAddCausation(b, es.CreateId(b, 0, 1))
		es.EventAddCorrelation(b, es.CreateId(b, ^uint64(0), ^uint64(0)))
		es.EventAddBatchSize(b, 2)
		es.EventAddBatchSeq(b, 1)
		es.EventAddBatchKey(b, key)
	}
	es.FinishSizePrefixedEventBuffer(b, es.EventEnd(b))
	return b.FinishedBytes()
}

func opened(t testing.TB, schemas *schema.Set, tables *Set, text string) record {
	t.Helper()
	const typ = "bank.account.Opened"
	table, err := tables.Table(typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, fingerprint, _ := schemas.Lookup(typ)
	return record{typ: typ, stream: "account-42", fingerprint: fingerprint, data: parse(t, table, text)}
}

func both(t *testing.T, s *Set, record []byte) (text, tree string) {
	t.Helper()
	shown, err := s.AppendRecordJSON([]byte("x"), record)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(shown[1:]) {
		t.Errorf("not JSON: %s", shown[1:])
	}
	lines, err := s.AppendRecordTree([]byte("x"), record)
	if err != nil {
		t.Fatal(err)
	}
	var streamed, streamedLines bytes.Buffer
	if err := s.WriteRecordJSON(&streamed, record); err != nil || streamed.String() != string(shown[1:]) {
		t.Errorf("streamed as %s, %v", streamed.String(), err)
	}
	if err := s.WriteRecordTree(&streamedLines, record); err != nil || streamedLines.String() != string(lines[1:]) {
		t.Errorf("streamed as %s, %v", streamedLines.String(), err)
	}
	return string(shown[1:]), string(lines[1:])
}

func TestRecord(t *testing.T) {
	t.Parallel()
	schemas, tables := bank(t)
	plain := opened(t, schemas, tables, `{"owner":"ada"}`)
	text, tree := both(t, tables, plain.build())
	if want := `{"position":42,"id":"01K4000000000ZZZZZZZZZZZZZ","time":"2025-08-31T12:00:24.064Z","stream":"account-42","version":3,"type":"bank.account.Opened","schema":"FINGERPRINT","append":{"seq":0,"size":1},"data":{"owner":"ada","branch":0,"channel":"Branch","joint":true,"ratio":0.5}}`; mask(text) != want {
		t.Errorf("got\n%s\nwant\n%s", mask(text), want)
	}
	if want := `position     42
id           01K4000000000ZZZZZZZZZZZZZ
time         2025-08-31T12:00:24.064Z
stream       account-42
version      3
type         bank.account.Opened
schema       FINGERPRINT
data
  owner    "ada"
  branch   0
  channel  Branch
  joint    true
  ratio    0.5
`; mask(tree) != want {
		t.Errorf("got\n%s\nwant\n%s", mask(tree), want)
	}

	full := plain
	full.full, full.key = true, "pay\n7"
	full.tags = []string{"owner:ada", "a b", "x\x1b[2J"}
	full.metadata = [][2]string{{"trace", "abc"}, {"trace", "\u009b"}}
	full.stream = "account-\u202ez"
	text, tree = both(t, tables, full.build())
	if want := `{"position":42,"id":"01K4000000000ZZZZZZZZZZZZZ","time":"2025-08-31T12:00:24.064Z","stream":"account-\u202ez","version":3,"type":"bank.account.Opened","schema":"FINGERPRINT","tags":["owner:ada","a b","x\u001b[2J"],"causation":"00000000000000000000000001","correlation":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ","metadata":[{"key":"trace","value":"abc"},{"key":"trace","value":"\u009b"}],"append":{"seq":1,"size":2,"key":"pay\n7"},"data":{"owner":"ada","branch":0,"channel":"Branch","joint":true,"ratio":0.5}}`; mask(text) != want {
		t.Errorf("got\n%s\nwant\n%s", mask(text), want)
	}
	if want := `position     42
id           01K4000000000ZZZZZZZZZZZZZ
time         2025-08-31T12:00:24.064Z
stream       "account-\u202ez"
version      3
type         bank.account.Opened
schema       FINGERPRINT
tags         owner:ada  "a b"  "x\u001b[2J"
causation    00000000000000000000000001
correlation  7ZZZZZZZZZZZZZZZZZZZZZZZZZ
append       2 of 2
key          "pay\n7"
metadata
  trace  "abc"
  trace  "\u009b"
data
  owner    "ada"
  branch   0
  channel  Branch
  joint    true
  ratio    0.5
`; mask(tree) != want {
		t.Errorf("got\n%s\nwant\n%s", mask(tree), want)
	}
}

// mask hides what changes with flatc's version.
func mask(text string) string {
	for _, before := range []string{`"schema":"`, "schema       "} {
		if i := strings.Index(text, before); i >= 0 {
			at := i + len(before)
			return text[:at] + "FINGERPRINT" + text[at+16:]
		}
	}
	return text
}

func TestRecordWithoutSchema(t *testing.T) {
	t.Parallel()
	schemas, tables := bank(t)
	for name, c := range map[string]struct {
		change func(*record)
		reason string
	}{
		"unknown fingerprint": {func(r *record) { r.fingerprint = 7 }, `no schema with fingerprint 0000000000000007 declares type`},
		"unknown type":        {func(r *record) { r.typ = "bank.account.Gone" }, `declares type`},
		"no fingerprint":      {func(r *record) { r.fingerprint, r.typ = 0, "x.Y" }, `no schema declares type`},
		"other data":          {func(r *record) { r.data = []byte("\x01\x02") }, "not a valid buffer"},
	} {
		r := opened(t, schemas, tables, `{"owner":"ada"}`)
		c.change(&r)
		text, tree := both(t, tables, r.build())
		if !strings.Contains(text, `"data_base64":"`) || !strings.Contains(text, `"data_error":"`) || strings.Contains(text, `"data":`) || !strings.Contains(text, c.reason) {
			t.Errorf("%s: %s", name, text)
		}
		if !strings.Contains(tree, "\ndata         \"") || !strings.Contains(tree, c.reason) || name == "other data" && !strings.HasSuffix(tree, "\n  0102\n") {
			t.Errorf("%s: %s", name, tree)
		}
	}
}

func TestRecordsAreVerified(t *testing.T) {
	t.Parallel()
	schemas, tables := bank(t)
	r := opened(t, schemas, tables, `{"owner":"ada"}`)
	r.full, r.tags, r.metadata = true, []string{"a:b"}, [][2]string{{"k", "v"}}
	whole := r.build()
	for n := range whole {
		if got, err := tables.AppendRecordJSON(nil, whole[:n]); err == nil || got != nil {
			t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	mutant := bytes.Clone(whole)
	for i := range mutant {
		for bit := range 8 {
			mutant[i] = whole[i] ^ 1<<bit
			if text, err := tables.AppendRecordJSON(nil, mutant); err == nil && !json.Valid(text) {
				t.Fatalf("byte %d: %s", i, text)
			}
			_, _ = tables.AppendRecordTree(nil, mutant)
		}
		mutant[i] = whole[i]
	}
	if _, err := tables.AppendRecordTree(nil, whole[:8]); err == nil {
		t.Error("a tree of half a record")
	}
	if tables.WriteRecordJSON(&bytes.Buffer{}, whole[:8]) == nil || tables.WriteRecordTree(&bytes.Buffer{}, whole[:8]) == nil {
		t.Error("half a record was written")
	}
}

func TestSetFollowsItsSchemas(t *testing.T) {
	t.Parallel()
	schemas, tables := bank(t)
	_, first, _ := schemas.Lookup("bank.account.Opened")
	var unknown *schema.UnknownTypeError
	if _, err := tables.Table("several.One", 0); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	if _, err := schemas.Add(testdata(t, "../../testdata/bank2.bfbs")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, typ := range schemas.Types() {
				table, err := tables.Table(typ.Name, 0)
				if err != nil || table.Name() != typ.Name {
					t.Errorf("%s: %v", typ.Name, err)
				}
			}
			if _, err := tables.Table("bank.account.Opened", first); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
