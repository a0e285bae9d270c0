package dynamic

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema/flat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// recordPlan verifies records. Its source is compiled in, so that it cannot
// fail without failing every test.
var recordPlan = sync.OnceValue(func() *verify.Plan {
	plan, err := verify.CompileBFBS(es.BFBS, "es.Event")
	if err != nil {
		panic("dynamic: the record's own schema does not compile: " + err.Error())
	}
	return plan
})

// AppendRecordJSON appends a record, a size-prefixed es.Event as stored, to dst
// as one line of JSON:
//
//	{"position":7,"id":"01K…","time":"2026-11-22T20:15:00.123Z","stream":"account-42","version":3,
//	 "type":"bank.account.Credited","schema":"0f…","tags":["owner:ada"],"causation":"01K…","correlation":"01K…",
//	 "metadata":[{"key":"trace","value":"abc"}],"append":{"seq":0,"size":1,"key":"pay-7"},"data":{"amount":100}}
//
// tags, causation, correlation, metadata and the append's key are left out when
// there are none. Data is shown by the schema whose fingerprint the record
// names. Where that can't be, because the schema is unknown or the data is not
// of its type, there is no "data", but "data_base64" with the bytes, and
// "data_error" with the reason.
//
// The record's structure is verified, and an error is a [*verify.Error] or
// [ErrTooLong]. Its checksum is not: event.Decode does that.
func (s *Set) AppendRecordJSON(dst, record []byte) ([]byte, error) {
	if err := recordPlan().VerifySizePrefixed(record); err != nil {
		return dst, err
	}
	return appendTo(dst, func(o *output) { s.recordJSON(o, openRecord(record)) })
}

// WriteRecordJSON is [Set.AppendRecordJSON] to a writer, in pieces.
func (s *Set) WriteRecordJSON(w io.Writer, record []byte) error {
	if err := recordPlan().VerifySizePrefixed(record); err != nil {
		return err
	}
	return writeTo(w, func(o *output) { s.recordJSON(o, openRecord(record)) })
}

// AppendRecordTree appends a record to dst as text for people, in the manner of
// [Table.AppendTree]: the event's own fields, then its data. Where data can't
// be shown by its schema, its first bytes are in hexadecimal, after the reason.
// What is verified is the same as in [Set.AppendRecordJSON].
func (s *Set) AppendRecordTree(dst, record []byte) ([]byte, error) {
	if err := recordPlan().VerifySizePrefixed(record); err != nil {
		return dst, err
	}
	return appendTo(dst, func(o *output) { s.recordTree(o, openRecord(record)) })
}

// WriteRecordTree is [Set.AppendRecordTree] to a writer, in pieces.
func (s *Set) WriteRecordTree(w io.Writer, record []byte) error {
	if err := recordPlan().VerifySizePrefixed(record); err != nil {
		return err
	}
	return writeTo(w, func(o *output) { s.recordTree(o, openRecord(record)) })
}

// openRecord gives access to a verified record.
func openRecord(record []byte) *es.Event {
	e := new(es.Event)
	e.Init(record, flatbuffers.SizeUint32+flatbuffers.GetUOffsetT(record[flatbuffers.SizeUint32:]))
	return e
}

// data returns the event's data, verified as a buffer of the table returned, or
// why it can't be shown.
func (s *Set) data(e *es.Event) ([]byte, *Table, error) {
	data := e.DataBytes()
	data = data[:len(data):len(data)]
	t, err := s.Table(string(e.Type()), e.Schema())
	if err == nil {
		err = t.plan.Verify(data)
	}
	return data, t, err
}

func (s *Set) recordJSON(o *output, e *es.Event) {
	o.raw(`{"position":`)
	o.count(e.Position())
	id := e.Id(nil)
	if id != nil {
		o.raw(`,"id":"`)
		o.ulid(id)
		o.raw(`","time":"`)
		o.time(id)
		o.raw(`"`)
	}
	o.raw(`,"stream":`)
	o.quoted(e.Stream())
	o.raw(`,"version":`)
	o.count(e.Version())
	o.raw(`,"type":`)
	o.quoted(e.Type())
	o.raw(`,"schema":"`)
	o.fingerprint(e.Schema())
	o.raw(`"`)
	if n := e.TagsLength(); n > 0 {
		o.raw(`,"tags":[`)
		for i := range n {
			o.comma(i)
			o.quoted(e.Tags(i))
		}
		o.raw(`]`)
	}
	if id := e.Causation(nil); id != nil {
		o.raw(`,"causation":"`)
		o.ulid(id)
		o.raw(`"`)
	}
	if id := e.Correlation(nil); id != nil {
		o.raw(`,"correlation":"`)
		o.ulid(id)
		o.raw(`"`)
	}
	if n := e.MetadataLength(); n > 0 {
		o.raw(`,"metadata":[`)
		for i := range n {
			var m es.Meta
			e.Metadata(&m, i)
			o.comma(i)
			o.raw(`{"key":`)
			o.quoted(m.Key())
			o.raw(`,"value":`)
			o.quoted(m.Value())
			o.raw(`}`)
		}
		o.raw(`]`)
	}
	o.raw(`,"append":{"seq":`)
	o.count(uint64(e.BatchSeq()))
	o.raw(`,"size":`)
	o.count(uint64(e.BatchSize()))
	if key := e.BatchKey(); len(key) > 0 {
		o.raw(`,"key":`)
		o.quoted(key)
	}
	o.raw(`}`)
	data, t, err := s.data(e)
	if err != nil {
		o.raw(`,"data_base64":"`)
		o.base64(data)
		o.raw(`","data_error":`)
		o.quoted([]byte(err.Error()))
	} else {
		o.raw(`,"data":`)
		o.json(t.object, data, follow(data, 0))
	}
	o.raw(`}`)
}

// comma separates list elements.
func (o *output) comma(i int) {
	if i > 0 && o.ok() {
		o.raw(",")
	}
}

// count writes a position, version or count, which stay below 2^53, and what is
// none as a string like all larger numbers.
func (o *output) count(n uint64) {
	if n > maxNumber {
		o.raw(`"`)
		defer o.raw(`"`)
	}
	o.buf = strconv.AppendUint(o.buf, n, 10)
}

func (o *output) fingerprint(n uint64) { o.buf = fmt.Appendf(o.buf, "%016x", n) }

// ulid writes the 26 characters of an id: 128 bits by fives, from the last.
func (o *output) ulid(id *es.Id) {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var text [26]byte
	hi, lo := id.Hi(), id.Lo()
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = digits[lo&31]
		lo, hi = lo>>5|hi<<59, hi>>5
	}
	o.buf = append(o.buf, text[:]...)
}

// time writes the instant that is the first 48 bits of an id.
func (o *output) time(id *es.Id) {
	o.buf = time.UnixMilli(int64(id.Hi()>>16)).UTC().AppendFormat(o.buf, "2006-01-02T15:04:05.000Z")
}

func (s *Set) recordTree(o *output, e *es.Event) {
	o.label("position")
	o.buf = strconv.AppendUint(o.buf, e.Position(), 10)
	if id := e.Id(nil); id != nil {
		o.label("\nid")
		o.ulid(id)
		o.label("\ntime")
		o.time(id)
	}
	o.label("\nstream")
	o.plain(flat.String(e.Stream()))
	o.label("\nversion")
	o.buf = strconv.AppendUint(o.buf, e.Version(), 10)
	o.label("\ntype")
	o.plain(flat.String(e.Type()))
	o.label("\nschema")
	o.fingerprint(e.Schema())
	if n := e.TagsLength(); n > 0 {
		o.label("\ntags")
		for i := range n {
			if i > 0 && o.ok() {
				o.raw("  ")
			}
			o.plain(flat.String(e.Tags(i)))
		}
	}
	if id := e.Causation(nil); id != nil {
		o.label("\ncausation")
		o.ulid(id)
	}
	if id := e.Correlation(nil); id != nil {
		o.label("\ncorrelation")
		o.ulid(id)
	}
	if e.BatchSize() > 1 {
		o.label("\nappend")
		o.count(uint64(e.BatchSeq()) + 1)
		o.raw(" of ")
		o.count(uint64(e.BatchSize()))
	}
	if key := e.BatchKey(); len(key) > 0 {
		o.label("\nkey")
		o.treeString(key)
	}
	o.metadataTree(e)
	o.label("\ndata")
	data, t, err := s.data(e)
	if err != nil {
		o.quoted([]byte(err.Error()))
		o.raw("\n  ")
		o.treeBytes(data)
		o.raw("\n")
		return
	}
	o.buf = o.buf[:len(o.buf)-labelWidth+len("data")]
	o.treeObject(t.object, data, follow(data, 0), 1)
}

func (o *output) metadataTree(e *es.Event) {
	n := e.MetadataLength()
	if n == 0 {
		return
	}
	o.raw("\nmetadata")
	for i := range n {
		if !o.ok() {
			return
		}
		var m es.Meta
		e.Metadata(&m, i)
		o.raw("\n  ")
		o.plain(flat.String(m.Key()))
		o.raw("  ")
		o.treeString(m.Value())
	}
}

// labelWidth is where the values of a record's own fields begin.
const labelWidth = len("correlation") + 2

// label writes a name, after a line break or not, and space up to the values.
func (o *output) label(name string) {
	o.raw(name)
	if name[0] == '\n' {
		name = name[1:]
	}
	o.pad(labelWidth - 2 - len(name))
}
