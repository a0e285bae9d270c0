package event

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema/verify"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordPlan verifies the structure of a record, and its file identifier. Its
// source is embedded, so compiling it can't fail at run time without failing
// every test first.
var recordPlan = sync.OnceValue(func() *verify.Plan {
	plan, err := verify.CompileBFBS(es.BFBS, "es.Event")
	if err == nil {
		plan, err = plan.WithIdentifier()
	}
	if err != nil {
		panic(fmt.Sprintf("event: the embedded record schema does not compile: %v", err))
	}
	return plan
})

// Decode returns the event of a record from anywhere: length, structure and
// checksum are verified before any field is read. The event aliases record. An
// invalid one fails with a [*CorruptError].
func Decode(record []byte) (Event, error) {
	if err := CheckRecord(record); err != nil {
		return Event{}, err
	}
	if err := recordPlan().VerifySizePrefixed(record); err != nil {
		return Event{}, &CorruptError{Message: err.Error()}
	}
	if !hasPlace(record) {
		return Event{}, &CorruptError{Message: "its id, position or version is missing"}
	}
	return Trusted(record), nil
}

// CheckRecord verifies a record's length and checksum without trusting a byte
// of it. For a record that a store built, that is all there is to check: the
// bytes are those that were written.
func CheckRecord(record []byte) error {
	if len(record) < 16 || len(record)%8 != 0 || uint64(binary.LittleEndian.Uint32(record)) != uint64(len(record)-4) {
		return &CorruptError{Message: fmt.Sprintf("its length of %d bytes is not the one it states", len(record))}
	}
	at, ok := fieldOffset(record, entryChecksum, 4)
	if !ok {
		return &CorruptError{Message: "it has no checksum"}
	}
	stored := binary.LittleEndian.Uint32(record[at:])
	if sum := checksum(record, at); sum != stored {
		return &CorruptError{Message: fmt.Sprintf("its checksum is %08x, its bytes give %08x", stored, sum)}
	}
	return nil
}

// Seal writes what only the committer knows into a record from [BuildRecord],
// in place, and then its checksum. Nothing may change the record afterwards.
func Seal(record []byte, id ID, position, version uint64) {
	hi, lo := idHalves(id)
	at := mustField(record, entryID, 16)
	binary.LittleEndian.PutUint64(record[at:], hi)
	binary.LittleEndian.PutUint64(record[at+8:], lo)
	binary.LittleEndian.PutUint64(record[mustField(record, entryPosition, 8):], position)
	binary.LittleEndian.PutUint64(record[mustField(record, entryVersion, 8):], version)
	at = mustField(record, entryChecksum, 4)
	binary.LittleEndian.PutUint32(record[at:], checksum(record, at))
}

// BuildRecord builds the record of event i of an append, with placeholders
// where [Seal] will write: FlatBuffers leaves out a field that has its default,
// and what is left out can't be patched. The record is newly allocated. tags
// are the event's complete tags, fingerprint that of its schema.
//
// The append must be valid ([Append.Validate]). A record over [MaxRecord]
// fails with a [*TooLargeError].
func BuildRecord(a *Append, i int, fingerprint uint64, tags []string) ([]byte, error) {
	if size := recordSizeHint(a, i, tags); size > MaxRecord {
		return nil, &TooLargeError{Bound: "max_record", Limit: MaxRecord, Actual: uint64(size)}
	}
	b := recordBuilders.Get().(*flatbuffers.Builder)
	defer putRecordBuilder(b)
	finishRecord(b, a, i, fingerprint, tags)
	built := b.FinishedBytes()
	if len(built) > MaxRecord {
		return nil, &TooLargeError{Bound: "max_record", Limit: MaxRecord, Actual: uint64(len(built))}
	}
	record := make([]byte, len(built))
	copy(record, built)
	return record, nil
}

// maxPooledBuilder keeps one huge event from pinning its memory in the pool.
const maxPooledBuilder = 256 << 10

var recordBuilders = sync.Pool{New: func() any { return flatbuffers.NewBuilder(1 << 10) }}

func putRecordBuilder(b *flatbuffers.Builder) {
	if cap(b.Bytes) <= maxPooledBuilder {
		b.Reset()
		recordBuilders.Put(b)
	}
}

func finishRecord(b *flatbuffers.Builder, a *Append, i int, fingerprint uint64, tags []string) {
	p := &a.Events[i]
	data := createData(b, p.Data)
	typ := b.CreateSharedString(p.Type)
	stream := b.CreateString(a.StreamOf(i))
	var key, tagVector, metaVector flatbuffers.UOffsetT
	if a.Key != "" {
		key = b.CreateString(a.Key)
	}
	if len(tags) > 0 {
		tagVector = createStrings(b, tags)
	}
	if len(p.Metadata) > 0 {
		metaVector = createMetadata(b, p.Metadata)
	}

	es.EventStart(b)
	es.EventAddId(b, es.CreateId(b, 1, 1))
	es.EventAddPosition(b, 1)
	es.EventAddVersion(b, 1)
	es.EventAddStream(b, stream)
	es.EventAddType(b, typ)
	es.EventAddSchema(b, fingerprint)
	es.EventAddData(b, data)
	if tagVector != 0 {
		es.EventAddTags(b, tagVector)
	}
	if !p.Causation.IsZero() {
		hi, lo := idHalves(p.Causation)
		es.EventAddCausation(b, es.CreateId(b, hi, lo))
	}
	if !p.Correlation.IsZero() {
		hi, lo := idHalves(p.Correlation)
		es.EventAddCorrelation(b, es.CreateId(b, hi, lo))
	}
	if metaVector != 0 {
		es.EventAddMetadata(b, metaVector)
	}
	es.EventAddChecksum(b, 1)
	es.EventAddBatchSeq(b, uint32(i))
	es.EventAddBatchSize(b, uint32(len(a.Events)))
	if key != 0 {
		es.EventAddBatchKey(b, key)
	}
	es.FinishSizePrefixedEventBuffer(b, es.EventEnd(b))
}

// createData places a finished FlatBuffer so that its own alignment holds
// inside the record: CreateByteVector alone would align to 4.
func createData(b *flatbuffers.Builder, data []byte) flatbuffers.UOffsetT {
	b.Prep(8, len(data))
	return b.CreateByteVector(data)
}

func createStrings(b *flatbuffers.Builder, values []string) flatbuffers.UOffsetT {
	offsets := make([]flatbuffers.UOffsetT, len(values))
	for i, v := range values {
		offsets[i] = b.CreateString(v)
	}
	return createOffsets(b, offsets)
}

func createMetadata(b *flatbuffers.Builder, metadata []Meta) flatbuffers.UOffsetT {
	offsets := make([]flatbuffers.UOffsetT, len(metadata))
	for i, m := range metadata {
		key, value := b.CreateString(m.Key), b.CreateString(m.Value)
		es.MetaStart(b)
		es.MetaAddKey(b, key)
		es.MetaAddValue(b, value)
		offsets[i] = es.MetaEnd(b)
	}
	return createOffsets(b, offsets)
}

func createOffsets(b *flatbuffers.Builder, offsets []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(flatbuffers.SizeUOffsetT, len(offsets), flatbuffers.SizeUOffsetT)
	for i := len(offsets) - 1; i >= 0; i-- {
		b.PrependUOffsetT(offsets[i])
	}
	return b.EndVector(len(offsets))
}

// recordSizeHint is a lower bound of the record's size, so that what is far too
// large is refused before anything is built.
func recordSizeHint(a *Append, i int, tags []string) int {
	p := &a.Events[i]
	size := len(p.Data) + len(p.Type) + len(a.StreamOf(i)) + len(a.Key)
	for _, t := range tags {
		size += len(t)
	}
	for _, m := range p.Metadata {
		size += len(m.Key) + len(m.Value)
	}
	return size
}

// checksum is the CRC-32C over the record without the four bytes at offset at.
func checksum(record []byte, at int) uint32 {
	return crc32.Update(crc32.Checksum(record[:at], castagnoli), castagnoli, record[at+4:])
}

// fieldOffset finds a field of size bytes in the record's root table, by the
// format's own rules and with every step checked against the record's bounds.
// It reports false for a field that is absent or not where it could be.
func fieldOffset(record []byte, entry uint16, size int) (int, bool) {
	n := int64(len(record))
	root := int64(rootOffset(record))
	if root < 8 || root+4 > n {
		return 0, false
	}
	vtable := root - int64(int32(binary.LittleEndian.Uint32(record[root:])))
	if vtable < 4 || vtable+4 > n || int64(entry)+2 > int64(binary.LittleEndian.Uint16(record[vtable:])) || vtable+int64(entry)+2 > n {
		return 0, false
	}
	field := int64(binary.LittleEndian.Uint16(record[vtable+int64(entry):]))
	at := root + field
	if field < 4 || at+int64(size) > n {
		return 0, false
	}
	return int(at), true
}

// hasPlace reports whether the fields are there that Seal writes. The schema
// can't require them: they are no offsets.
func hasPlace(record []byte) bool {
	_, id := fieldOffset(record, entryID, 16)
	_, position := fieldOffset(record, entryPosition, 8)
	_, version := fieldOffset(record, entryVersion, 8)
	return id && position && version
}

func mustField(record []byte, entry uint16, size int) int {
	at, ok := fieldOffset(record, entry, size)
	if !ok {
		panic("event: Seal on bytes that BuildRecord did not make")
	}
	return at
}

// rootOffset is where a size-prefixed buffer's root table starts.
func rootOffset(record []byte) flatbuffers.UOffsetT {
	return 4 + flatbuffers.GetUOffsetT(record[4:])
}
