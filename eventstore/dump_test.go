package eventstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func dumped(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := DumpDir(t.Context(), dir, &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestDumpAndLoad has every record's bytes again, and a dump of what was loaded
// is the same but for the store's id.
func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	s := openFaulty(t, dir, Options{}) // a dump is made beside a writer
	first := dumped(t, dir)
	for _, keep := range []bool{false, true} {
		to := filepath.Join(t.TempDir(), "new")
		last := uint64(0)
		head, err := Load(t.Context(), bytes.NewReader(first), to, LoadOptions{KeepStore: keep, Progress: func(position, head uint64) { last = position }})
		if err != nil || head.Position != 600 || last != 600 || (head.Store == s.StoreID()) != keep {
			t.Fatalf("keep %v: %+v, progress %d, %v", keep, head, last, err)
		}
		loaded := openFaulty(t, to, Options{})
		if got := mustRead(t, loaded); !bytes.Equal(bytes.Join(got, nil), bytes.Join(records, nil)) {
			t.Errorf("keep %v: the records differ", keep)
		}
		if receipt, ok, err := loaded.AppendByKey(t.Context(), "k17"); err != nil || !ok || receipt.First != 35 {
			t.Errorf("a key: %+v, %v, %v", receipt, ok, err)
		}
		second := dumped(t, to)
		if same := bytes.Equal(first, second); same != keep {
			t.Errorf("keep %v: another dump of it is the same: %v", keep, same)
		}
		if !bytes.Equal(first[sectionHeader+dumpHeadBytes:], second[sectionHeader+dumpHeadBytes:]) {
			t.Error("another dump of it has other schemas or pages")
		}
	}
}

func TestDumpOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "new")
	openFaulty(t, dir, Options{})
	if head, err := Load(t.Context(), bytes.NewReader(dumped(t, dir)), to, LoadOptions{}); err != nil || head.Position != 0 {
		t.Fatalf("%+v, %v", head, err)
	}
	mustAppend(t, openFaulty(t, to, Options{}), struck("ledger-1"))
}

// sections cuts a dump.
func sections(t *testing.T, dump []byte) (cut [][]byte) {
	t.Helper()
	for len(dump) > 0 {
		n := sectionHeader + binary.LittleEndian.Uint64(dump[8:])
		cut = append(cut, dump[:n:n])
		dump = dump[n:]
	}
	return cut
}

func section(tag string, payload []byte) []byte {
	b := append([]byte(tag), make([]byte, 12)...)
	binary.LittleEndian.PutUint64(b[8:], uint64(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], sectionSum(b, payload))
	return append(b, payload...)
}

// TestLoadTrustsNothing changes what is in a dump, and makes its checksums fit.
func TestLoadTrustsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	dump := dumped(t, dir)
	parts := sections(t, dump)
	head, schemas, end := parts[0], parts[1:len(parts)-2], parts[len(parts)-1]
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	with := func(records ...[]byte) []byte {
		return join(head, join(schemas...), section(dumpPage, join(records...)), end)
	}
	replaced := func(position int, record []byte) []byte {
		all := append([][]byte(nil), records...)
		all[position-1] = record
		return with(all...)
	}
	// rebuilt is an event proposed anew in the place of another.
	rebuilt := func(position int, p event.Proposed, tags ...string) []byte {
		was := event.Trusted(records[position-1])
		a := event.Append{Stream: was.Stream(), Key: was.BatchKey(), Events: []event.Proposed{p, p}}
		record, err := event.BuildRecord(&a, was.BatchSeq(), was.Schema(), tags)
		if err != nil {
			t.Fatal(err)
		}
		event.Seal(record, was.ID(), was.Position(), was.Version())
		return record
	}
	if !bytes.Equal(with(records...), dump) {
		t.Fatal("the test can't make the dump again")
	}
	noted, struckOut := eventstoretest.Noted("n1", 1), eventstoretest.Struck(1)
	named := noted
	named.Stream = "ledger\x00-1"
	wrong := noted
	wrong.Data = bytes.Repeat([]byte{0xee}, 32)
	short := bytes.Clone(head)
	binary.LittleEndian.PutUint64(short[sectionHeader+24:], 598)
	for name, c := range map[string]struct {
		dump []byte
		want string
	}{
		"nothing":                      {nil, "it ends early: is it what es dump --pages wrote?"},
		"not a dump":                   {[]byte("this is something else altogether"), "a section begins with"},
		"another format":               {join(section(dumpHead, append([]byte{2}, head[sectionHeader+1:]...)), end), "has format 2"},
		"no head":                      {join(schemas...), "it begins with a section"},
		"no end":                       {dump[:len(dump)-sectionHeader], "it ends early"},
		"cut in a page":                {dump[:len(dump)-1000], "it ends early"},
		"something behind the end":     {join(dump, []byte{0}), "something follows its end"},
		"a length without end":         {join(head, []byte("VBDP\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f")), "a section begins with"},
		"schemas behind pages":         {join(dump[:len(dump)-sectionHeader], schemas[0], end), "out of place"},
		"two heads":                    {join(head, dump), "out of place"},
		"no schemas":                   {join(head, section(dumpPage, join(records...)), end), "data: "},
		"a schema that is there twice": {join(head, join(schemas...), schemas[0], section(dumpPage, join(records...)), end), "is there twice"},
		"a schema that is none":        {join(head, section(dumpSchema, []byte("nonsense")), end), "a schema: "},
		"the last append is torn":      {with(records[:599]...), "it ends at position 599"},
		"fewer than stated":            {with(records[:598]...), "it ends at position 598"},
		"more than stated":             {join(section(dumpHead, short[sectionHeader:]), dump[len(head):]), "ends before"},
		"the first append is torn":     {with(records[1:]...), "position 1: "},
		"one is missing":               {with(append(append([][]byte(nil), records[:99]...), records[100:]...)...), "position 100: "},
		"two change places":            {with(append(append(append([][]byte(nil), records[:99]...), records[100], records[99]), records[101:]...)...), "position 100: "},
		"a page that ends early":       {with(join(records...)[:1003]), "inside a record"},
		"data that is not of its type": {replaced(99, rebuilt(99, wrong, "text:n1")), "position 99: data: "},
		"a tag is missing":             {replaced(99, rebuilt(99, noted)), "position 99: tag \"text:n1\" is missing"},
		"a name with a zero byte":      {replaced(99, rebuilt(99, named, "text:n1")), "position 99: "},
		"a tag that is none":           {replaced(100, rebuilt(100, struckOut, "none")), "position 100: "},
	} {
		to := filepath.Join(t.TempDir(), "new")
		_, err := Load(t.Context(), bytes.NewReader(c.dump), to, LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
		if entries, _ := os.ReadDir(filepath.Dir(to)); len(entries) > 0 {
			t.Errorf("%s: left behind: %v", name, entries)
		}
	}
}

// TestLoadBoundsSchemas has more schemas in a dump than a store takes: each is
// kept in memory, and made durable by itself.
func TestLoadBoundsSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	parts := sections(t, dumped(t, dir))
	head, first := parts[0], parts[1]
	bfbs := first[sectionHeader:]
	// The same but for a type's name, which is another schema.
	other := section(dumpSchema, bytes.ReplaceAll(bfbs, []byte("Noted"), []byte("Notes")))
	many := bytes.Clone(head)
	for i := range defaultMaxSchemas + 1 {
		name := []byte{'N', byte('a' + i/26/26%26), byte('a' + i/26%26), byte('a' + i%26), 'x'}
		many = append(many, section(dumpSchema, bytes.ReplaceAll(bfbs, []byte("Noted"), name))...)
	}
	for name, c := range map[string]struct {
		dump    []byte
		options LoadOptions
		want    event.TooLargeError
	}{
		"number":     {bytes.Join([][]byte{head, first, other}, nil), LoadOptions{MaxSchemas: 1}, event.TooLargeError{Bound: "max_schemas", Limit: 1, Actual: 2}},
		"bytes":      {bytes.Join([][]byte{head, first, other}, nil), LoadOptions{MaxSchemaBytes: 2*len(bfbs) - 1}, event.TooLargeError{Bound: "max_schema_bytes", Limit: uint64(2*len(bfbs) - 1), Actual: uint64(2 * len(bfbs))}},
		"by default": {many, LoadOptions{}, event.TooLargeError{Bound: "max_schemas", Limit: defaultMaxSchemas, Actual: defaultMaxSchemas + 1}},
	} {
		to := filepath.Join(shmDir(t), "new")
		_, err := Load(t.Context(), bytes.NewReader(c.dump), to, c.options)
		var got *event.TooLargeError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(to)); len(entries) > 0 {
			t.Errorf("%s: left behind: %v", name, entries)
		}
	}
}

// TestFlippedDumpIsNeverLoaded flips a bit in bytes of a dump.
func TestFlippedDumpIsNeverLoaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openFaulty(t, dir, Options{})
	for range 3 {
		mustAppend(t, s, struck("ledger-1"))
	}
	if _, err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	dump := dumped(t, dir)
	step := 13
	if testing.Short() {
		step = 101
	}
	to := filepath.Join(shmDir(t), "new")
	for at := 0; at < len(dump); at += step {
		bad := bytes.Clone(dump)
		bad[at] ^= 1 << (at % 8)
		if _, err := Load(t.Context(), bytes.NewReader(bad), to, LoadOptions{}); err == nil {
			t.Fatalf("byte %d of %d flipped: it was loaded", at, len(dump))
		}
	}
}

func TestDumpAndLoadRefuse(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	records := filled(t, dir)
	dump := dumped(t, dir)
	if _, err := Load(t.Context(), bytes.NewReader(dump), dir, LoadOptions{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("load into a store: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, bytes.NewReader(dump), filepath.Join(base, "x"), LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("load, cancelled: %v", err)
	}
	if _, err := DumpDir(ctx, dir, new(bytes.Buffer), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("dump, cancelled: %v", err)
	}
	if _, err := DumpDir(t.Context(), base, new(bytes.Buffer), nil); !errors.Is(err, ErrNotStore) {
		t.Errorf("dump no store: %v", err)
	}
	full := errors.New("full")
	if _, err := DumpDir(t.Context(), dir, refusing{full}, nil); !errors.Is(err, full) {
		t.Errorf("nowhere to dump to: %v", err)
	}
	id := event.Trusted(records[99]).ID()
	log, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(records[99])
	bad[60] ^= 1
	overwrite(t, log.env, log.records, id[:], bad)
	if err := log.env.Close(); err != nil {
		t.Fatal(err)
	}
	var corrupt *event.CorruptError
	if _, err := DumpDir(t.Context(), dir, new(bytes.Buffer), nil); !errors.As(err, &corrupt) || corrupt.Position != 100 {
		t.Errorf("dump a damaged record: %v", err)
	}
}

type refusing struct{ err error }

func (w refusing) Write([]byte) (int, error) { return 0, w.err }

// FuzzReadSection reads sections of anything: no allocation beyond what a section
// may have, and nothing is accepted whose checksum does not fit.
func FuzzReadSection(f *testing.F) {
	f.Add(section(dumpEnd, nil))
	f.Add(section(dumpPage, []byte("12345678")))
	f.Add([]byte("VBDP\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tag, payload, err := readSection(bytes.NewReader(b), nil)
		if err != nil {
			return
		}
		if want := section(tag, payload); !bytes.Equal(want, b[:len(want)]) {
			t.Errorf("%q was read from %q", want, b)
		}
	})
}
