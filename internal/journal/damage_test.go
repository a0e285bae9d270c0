package journal

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// filled makes a journal of two segments in use, with two batches of one event
// in each, and returns the payloads.
func filled(t *testing.T) (*simDisk, [][]byte) {
	t.Helper()
	disk := newSimDisk(1, 512)
	j, _, err := Open(testDir, Options{Store: testStore, SegmentSize: 4 * blockSize, FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	var payloads [][]byte
	for i, size := range []int{60, 4100, 300, 5000} {
		payloads = append(payloads, bytes.Repeat([]byte{byte('a' + i)}, size))
		if err := j.Append(uint64(i+1), payloads[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return disk, payloads
}

// place of a frame in the files of filled.
type place struct {
	file       string
	begin, end int // header and payload
}

// placesOf finds the frames of a journal, in order.
func placesOf(disk *simDisk) []place {
	var places []place
	for _, name := range disk.segmentsIn() {
		data := disk.seen[name].seen
		if h, ok := parseSegmentHeader(data); !ok || h.state != stateInUse {
			continue
		}
		for at := int64(blockSize); at < int64(len(data)); {
			h := parseFrameHeader(data[at:])
			if !h.plausible(at, int64(len(data))) {
				break
			}
			places = append(places, place{name, int(at), int(at) + frameHeaderSize + int(h.length)})
			at += h.blocks()
		}
	}
	return places
}

// TestEveryFlip flips every byte of a journal, one at a time: what is recovered
// is what was appended, or the damage is reported.
func TestEveryFlip(t *testing.T) {
	t.Parallel()
	disk, payloads := filled(t)
	places := placesOf(disk)
	if len(places) != len(payloads) {
		t.Fatalf("%d frames for %d payloads", len(places), len(payloads))
	}
	var refused, cut, harmless int
	for _, name := range disk.segmentsIn() {
		data := disk.seen[name].seen
		for at := range data {
			data[at] ^= 1 << (at % 8)
			hit := slices.IndexFunc(places, func(p place) bool { return p.file == name && p.begin <= at && at < p.end })
			switch got, r, err := openFlipped(disk); {
			case err != nil:
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || corrupt.File != name || hit == len(places)-1 {
					t.Fatalf("%s, byte %d flipped in frame %d: %v", name, at, hit+1, err)
				}
				if hit >= 0 && (corrupt.Offset != int64(places[hit].begin) || corrupt.Position != uint64(hit+1)) {
					t.Fatalf("%s, byte %d flipped in frame %d: reported %v", name, at, hit+1, err)
				}
				refused++
			case hit >= 0 && hit < len(places)-1:
				t.Fatalf("%s, byte %d flipped in frame %d of %d: not noticed", name, at, hit+1, len(places))
			case hit >= 0:
				if r.Cut == nil || r.Cut.File != name || r.Cut.Offset != int64(places[hit].begin) || !equal(got, payloads[:hit]) {
					t.Fatalf("%s, byte %d flipped in the last frame: recovered %d, cut %v", name, at, len(got), r.Cut)
				}
				cut++
			default:
				if r.Cut != nil || !equal(got, payloads) {
					t.Fatalf("%s, byte %d flipped outside of frames: recovered %d, cut %v", name, at, len(got), r.Cut)
				}
				harmless++
			}
			data[at] ^= 1 << (at % 8)
		}
	}
	t.Logf("%d flips refused, %d cut, %d harmless", refused, cut, harmless)
	if refused < 2*segmentHeaderSize || cut < 5000 {
		t.Errorf("%d flips refused, %d cut: the test hit nothing", refused, cut)
	}
}

func openFlipped(disk *simDisk) ([][]byte, *Recovered, error) {
	_, r, err := Open(testDir, Options{Store: testStore, SegmentSize: 4 * blockSize, FS: disk})
	if err != nil {
		return nil, nil, err
	}
	got, err := unfolded(r)
	return got, r, err
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// TestDamage does to a journal what no crash does.
func TestDamage(t *testing.T) {
	t.Parallel()
	first, second := segmentName(testDir, 1), segmentName(testDir, 2)
	for _, test := range []struct {
		name   string
		damage func(d *simDisk)
		folded uint64
		want   string
	}{
		{"oldest segment missing", func(d *simDisk) { delete(d.seen, first) }, 0, "begins at position 3"},
		{"oldest segment missing, folded", func(d *simDisk) { delete(d.seen, first) }, 2, ""},
		{"segment cut off", func(d *simDisk) { d.seen[second].seen = d.seen[second].seen[:2*blockSize] }, 0, "bytes instead of"},
		{"segment cut off within a block", func(d *simDisk) { d.seen[second].seen = d.seen[second].seen[:100] }, 0, "cut off"},
		{"header zeroed", func(d *simDisk) { clear(d.seen[second].seen[:blockSize]) }, 0, "segment header"},
		{"header zeroed, folded", func(d *simDisk) { clear(d.seen[second].seen[:blockSize]) }, 4, ""},
		{"frame zeroed", func(d *simDisk) { clear(d.seen[first].seen[blockSize : 2*blockSize]) }, 0, "a later one at offset 8192"},
		{"frame zeroed, folded", func(d *simDisk) { clear(d.seen[first].seen[blockSize : 2*blockSize]) }, 2, ""},
		{"frame zeroed at the end of a segment", func(d *simDisk) { clear(d.seen[first].seen[2*blockSize:]) }, 0, "the next segment begins at position 3"},
		{"frames swapped", func(d *simDisk) {
			a, b := d.seen[first].seen[blockSize:2*blockSize], d.seen[second].seen[blockSize:2*blockSize]
			for i := range a {
				a[i], b[i] = b[i], a[i]
			}
		}, 0, "damaged"},
		{"stray file", func(d *simDisk) { d.seen[testDir+"/notes.txt"] = &simFile{} }, 0, "no journal segment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk, payloads := filled(t)
			test.damage(disk)
			_, r, err := Open(testDir, Options{Store: testStore, Folded: test.folded, SegmentSize: 4 * blockSize, FS: disk})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := unfolded(r); err != nil || !equal(got, payloads[test.folded:]) {
				t.Fatalf("recovered %d batches, %v", len(got), err)
			}
		})
	}
}

// TestForeign opens a journal as another store's.
func TestForeign(t *testing.T) {
	t.Parallel()
	disk, _ := filled(t)
	other := event.ID{15: 1}
	_, _, err := Open(testDir, Options{Store: other, Folded: 4, SegmentSize: 4 * blockSize, FS: disk})
	var foreign *ForeignError
	if !errors.As(err, &foreign) || foreign.Store != testStore || foreign.Want != other {
		t.Fatalf("got %v", err)
	}
}

// TestForeignEmpty takes over the segments of a journal that was closed empty.
func TestForeignEmpty(t *testing.T) {
	t.Parallel()
	disk := newSimDisk(1, 512)
	o := Options{Store: testStore, Folded: 7, SegmentSize: 4 * blockSize, FS: disk}
	j := mustOpen(t, o)
	if err := errors.Join(j.Append(8, [][]byte{{1}}), j.Recycle(8), j.Close()); err != nil {
		t.Fatal(err)
	}
	o.Store, o.Folded = event.ID{15: 1}, 2
	j = mustOpen(t, o)
	if err := j.Append(3, [][]byte{{2}}); err != nil {
		t.Fatal(err)
	}
	if _, r, err := Open(testDir, o); err != nil || r.First != 3 || r.Last != 3 {
		t.Fatalf("recovered %+v, %v", r, err)
	}
}

// TestForeignFrame puts a frame of another store where the next one goes.
func TestForeignFrame(t *testing.T) {
	t.Parallel()
	disk, payloads := filled(t)
	last := placesOf(disk)[3]
	data := disk.seen[last.file].seen[last.begin:]
	h := parseFrameHeader(data)
	h.store = event.ID{15: 1}
	h.seal(data)
	got, r, err := openFlipped(disk)
	if err == nil {
		t.Fatalf("recovered %d of %d batches, %+v", len(got), len(payloads), r)
	}
}

// TestBehind opens a journal with a log that has lost what it had.
func TestBehind(t *testing.T) {
	t.Parallel()
	disk := newSimDisk(1, 512)
	o := Options{Store: testStore, SegmentSize: 4 * blockSize, FS: disk}
	j := mustOpen(t, o)
	for i := range uint64(5) {
		if err := errors.Join(j.Append(i+1, [][]byte{make([]byte, 4000)}), j.Recycle(i)); err != nil {
			t.Fatal(err)
		}
	}
	o.Folded = 1 // the second segment was started with 2 in the log
	_, _, err := Open(testDir, o)
	var behind *BehindError
	if !errors.As(err, &behind) || behind.Folded != 1 || behind.Recycled != 2 {
		t.Fatalf("got %v", err)
	}
}

// TestStaleSegment writes a shorter life over a longer one: what is left of the
// old frames behind the new ones is not taken for new, at whatever position the
// log is.
func TestStaleSegment(t *testing.T) {
	t.Parallel()
	disk := newSimDisk(1, 512)
	o := Options{Store: testStore, SegmentSize: 8 * blockSize, Segments: 2, FS: disk}
	j := mustOpen(t, o)
	next := uint64(1)
	for range 30 {
		if err := j.Append(next, [][]byte{make([]byte, 100)}); err != nil {
			t.Fatal(err)
		}
		got, r := recoverFrom(t, disk.clone(), o)
		if len(got) != int(next-o.Folded) || r.Last != next || r.Cut != nil {
			t.Fatalf("recovered %+v after position %d, log at %d", r, next, o.Folded)
		}
		if next >= 3 {
			o.Folded = next - 3
			if err := j.Recycle(o.Folded); err != nil {
				t.Fatal(err)
			}
		}
		next++
	}
}

func recoverFrom(t *testing.T, disk *simDisk, o Options) ([][]byte, *Recovered) {
	t.Helper()
	o.FS = disk
	_, r, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unfolded(r)
	if err != nil {
		t.Fatal(err)
	}
	return got, r
}

func mustOpen(t testing.TB, o Options) *Journal {
	t.Helper()
	j, _, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
