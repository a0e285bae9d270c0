package event_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/fb/es"
)

var someID = event.ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func full() event.Append {
	return event.Append{
		Stream: "account-42",
		Key:    "pay-7",
		Events: []event.Proposed{{Type: "other", Data: []byte{1}}, {
			Type:        "bank.account.Deposited",
			Data:        []byte("0123456789abc"),
			Metadata:    []event.Meta{{Key: "user", Value: "ada"}, {Key: "empty"}},
			Causation:   event.ID{9},
			Correlation: event.ID{8, 1},
		}},
	}
}

func sealed(t testing.TB, a event.Append, i int) []byte {
	t.Helper()
	record, err := event.BuildRecord(&a, i, 0xfeed, []string{"owner:ada", "region:eu"})
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, someID, 77, 5)
	return record
}

func TestRecordHoldsWhatWasProposed(t *testing.T) {
	t.Parallel()
	record := sealed(t, full(), 1)
	e, err := event.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("id", e.ID(), someID)
	check("position", e.Position(), uint64(77))
	check("version", e.Version(), uint64(5))
	check("stream", e.Stream(), "account-42")
	check("category", e.Category(), "account")
	check("stream id", e.StreamID(), "42")
	check("type", e.Type(), "bank.account.Deposited")
	check("schema", e.Schema(), uint64(0xfeed))
	check("data", string(e.Data()), "0123456789abc")
	check("tags", strings.Join(slices.Collect(e.Tags()), " "), "owner:ada region:eu")
	check("has tag", e.HasTag("owner:ada"), true)
	check("has no tag", e.HasTag("owner"), false)
	check("metadata", len(maps.Collect(e.Metadata())), 2)
	check("causation", e.Causation(), event.ID{9})
	check("correlation", e.Correlation(), event.ID{8, 1})
	check("batch seq", e.BatchSeq(), 1)
	check("batch size", e.BatchSize(), 2)
	check("batch key", e.BatchKey(), "pay-7")
	check("record", bytes.Equal(e.Record(), record), true)
	if v, ok := e.MetadataValue("user"); v != "ada" || !ok {
		t.Errorf("metadata user is %q, %v", v, ok)
	}
	if _, ok := e.MetadataValue("nobody"); ok {
		t.Error("metadata has a key that was not given")
	}
}

func TestCloneOfNoEvent(t *testing.T) {
	t.Parallel()
	if clone := (event.Event{}).Clone(); !clone.IsZero() {
		t.Errorf("a clone of no event is %v", clone)
	}
}

func TestCloneOutlivesTheRecord(t *testing.T) {
	t.Parallel()
	record := sealed(t, full(), 1)
	clone := event.Trusted(record).Clone()
	clear(record)
	if clone.Type() != "bank.account.Deposited" || clone.StreamID() != "42" {
		t.Errorf("the clone changed with its original: %v", clone)
	}
}

// The form that everything else relies on: multiples of 8, data aligned to 8,
// a standard size prefix.
func TestRecordLayout(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := event.Append{
			Stream: rapid.StringMatching(`[a-z]{1,9}-[0-9]{1,30}`).Draw(t, "stream"),
			Key:    rapid.StringMatching(`[a-z]{0,9}`).Draw(t, "key"),
			Events: []event.Proposed{{
				Type: rapid.StringMatching(`[a-z]{1,9}\.[A-Z][a-z]{0,20}`).Draw(t, "type"),
				Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			}},
		}
		tags := rapid.SliceOfN(rapid.StringMatching(`[a-z]:[a-z]{0,9}`), 0, 4).Draw(t, "tags")
		record, err := event.BuildRecord(&a, 0, rapid.Uint64().Draw(t, "schema"), tags)
		if err != nil {
			t.Fatal(err)
		}
		event.Seal(record, someID, rapid.Uint64().Draw(t, "position"), rapid.Uint64().Draw(t, "version"))
		e, err := event.Decode(record)
		if err != nil {
			t.Fatal(err)
		}
		likeFlatc(t, e)
		if len(record)%8 != 0 {
			t.Fatalf("a record of %d bytes", len(record))
		}
		if got := binary.LittleEndian.Uint32(record); int(got) != len(record)-4 {
			t.Fatalf("the prefix says %d of %d bytes", got, len(record))
		}
		if !bytes.Equal(e.Data(), a.Events[0].Data) {
			t.Fatalf("data came back as %x", e.Data())
		}
		at := bytes.Index(record, a.Events[0].Data)
		for at >= 0 && at%8 != 0 { // the same bytes may stand elsewhere, too
			next := bytes.Index(record[at+1:], a.Events[0].Data)
			if next < 0 {
				t.Fatal("data is not aligned to 8")
			}
			at += 1 + next
		}
		if !slices.Equal(slices.Collect(e.Tags()), tags) {
			t.Fatalf("tags came back as %v", slices.Collect(e.Tags()))
		}
	})
}

// likeFlatc compares what is read of an event with what flatc's accessors read.
func likeFlatc(t interface{ Fatalf(string, ...any) }, e event.Event) {
	want := es.GetSizePrefixedRootAsEvent(e.Record(), 0)
	if e.Position() != want.Position() || e.Version() != want.Version() || e.Schema() != want.Schema() ||
		e.Stream() != string(want.Stream()) || e.Type() != string(want.Type()) || !bytes.Equal(e.Data(), want.DataBytes()) {
		t.Fatalf("%x is read as %v, schema %d, data %x", e.Record(), e, e.Schema(), e.Data())
	}
}

func TestEveryChangedByteIsFound(t *testing.T) {
	t.Parallel()
	record := sealed(t, full(), 1)
	for i := range record {
		for bit := range 8 {
			mutant := bytes.Clone(record)
			mutant[i] ^= 1 << bit
			if _, err := event.Decode(mutant); !errors.As(err, new(*event.CorruptError)) {
				t.Fatalf("bit %d of byte %d changed: %v", bit, i, err)
			}
		}
	}
	for n := range record {
		if _, err := event.Decode(record[:n]); err == nil {
			t.Fatalf("a record cut to %d bytes was accepted", n)
		}
	}
}

// What is sealed as a record must also say that it is one.
func TestRecordNeedsItsIdentifier(t *testing.T) {
	t.Parallel()
	record := sealed(t, full(), 0)
	e, err := event.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	id, position, version := e.ID(), e.Position(), e.Version()
	copy(record[8:], "BFBS")
	event.Seal(record, id, position, version)
	if _, err := event.Decode(record); !errors.As(err, new(*event.CorruptError)) || !strings.Contains(err.Error(), "ESEV") {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode reads records from anywhere. A checksum can be computed by an
// attacker: structure is verified as well. What is accepted is the bytes that it
// was read from, which sealing with the same place does not change.
func FuzzDecode(f *testing.F) {
	f.Add(sealed(f, full(), 0))
	f.Add(sealed(f, full(), 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := event.Decode(record)
		if err != nil {
			return
		}
		likeFlatc(t, e)
		for range e.Tags() {
		}
		for range e.Metadata() {
		}
		_ = e.Clone().String() + e.BatchKey() + string(e.Data())
		_, _, _, _ = e.ID(), e.Causation(), e.Correlation(), e.Time()
		again := bytes.Clone(record)
		event.Seal(again, e.ID(), e.Position(), e.Version())
		if !bytes.Equal(e.Record(), record) || !bytes.Equal(e.Clone().Record(), record) || !bytes.Equal(again, record) {
			t.Fatalf("%x is read as %x, and sealed again %x", record, e.Record(), again)
		}
	})
}

func TestTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	a := event.Append{Stream: "s-1", Events: []event.Proposed{{Type: "t", Data: make([]byte, event.MaxRecord-16)}}}
	var large *event.TooLargeError
	if _, err := event.BuildRecord(&a, 0, 1, nil); !errors.As(err, &large) || large.Limit != event.MaxRecord {
		t.Fatalf("got %v", err)
	}
}

// FuzzSeal reads the place that was sealed into a record, in the order of keys,
// and notices any bit of it that changes.
func FuzzSeal(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("0123456789abcdeg"), uint64(1), uint64(1), uint32(77))
	f.Add(make([]byte, 16), bytes.Repeat([]byte{0xff}, 16), uint64(1<<63), uint64(0), uint32(0))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16), uint64(256), uint64(3), uint32(1<<31))
	built := sealed(f, full(), 0)
	f.Fuzz(func(t *testing.T, first, second []byte, position, version uint64, bit uint32) {
		if len(first) != 16 || len(second) != 16 {
			return
		}
		record, other := bytes.Clone(built), bytes.Clone(built)
		event.Seal(record, event.ID(first), position, version)
		event.Seal(other, event.ID(second), position, version)
		e, err := event.Decode(record)
		if err != nil || e.ID() != event.ID(first) || e.Position() != position || e.Version() != version {
			t.Fatalf("%v, %v", e, err)
		}
		if e.ID().Compare(event.Trusted(other).ID()) != bytes.Compare(first, second) {
			t.Fatalf("ids %x and %x are not in the order of their bytes", first, second)
		}
		record[int(bit)/8%len(record)] ^= 1 << (bit % 8)
		if err := event.CheckRecord(record); err == nil {
			t.Fatalf("bit %d of a record of %d bytes was flipped, and nothing notices", bit, len(record))
		}
	})
}
