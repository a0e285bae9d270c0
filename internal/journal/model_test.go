package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
)

// testStore is the id of the store in tests.
var testStore = event.ID{1, 2, 3, 15: 9}

// testDir is where the simulated journal is.
const testDir = "journal"

// batch is an append as the model remembers it.
type batch struct {
	first, last  uint64
	payload      []byte
	acknowledged bool
}

// model is what a journal and the log behind it have to hold.
type model struct {
	t       *rapid.T
	disk    *simDisk
	options Options
	journal *Journal
	// batches are all that were appended, oldest first. Only the last may be
	// unacknowledged.
	batches []batch
	// folded is the log's last position, always at the end of a batch.
	folded uint64
	salt   uint64
	// unknown are the first positions of all appends that failed.
	unknown map[uint64]bool
	// failed is set once a write or sync failed.
	failed bool
	// crashes counts the times that the journal was recovered after one.
	crashes int
}

func newModel(t *rapid.T) *model {
	disk := newSimDisk(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]int{512, blockSize}).Draw(t, "sector"))
	generation := disk.random.Uint64()
	return &model{t: t, disk: disk, unknown: map[uint64]bool{}, options: Options{
		Store:       testStore,
		SegmentSize: int64(rapid.IntRange(3, 8).Draw(t, "blocks")) * blockSize,
		Segments:    rapid.IntRange(2, 4).Draw(t, "segments"),
		FS:          disk,
		generation:  func() uint64 { generation++; return generation },
	}}
}

func (m *model) last() uint64 {
	if len(m.batches) == 0 {
		return m.folded
	}
	return m.batches[len(m.batches)-1].last
}

// records makes a batch of n records that differ from all others.
func (m *model) records(n, size int) [][]byte {
	records := make([][]byte, n)
	for i := range records {
		m.salt++
		records[i] = bytes.Repeat([]byte{byte(m.salt)}, size)
		copy(records[i], binary.BigEndian.AppendUint64(nil, m.salt))
	}
	return records
}

// append appends a batch.
func (m *model) append(n, size int) {
	first := m.last() + 1
	records := m.records(n, size)
	err := m.journal.Append(first, records)
	b := batch{first: first, last: first + uint64(n) - 1, payload: bytes.Join(records, nil)}
	failed := (*FailedError)(nil)
	switch {
	case m.failed:
		if !errors.As(err, &failed) || !errors.Is(err, event.ErrOutcomeUnknown) {
			m.t.Fatalf("append after a failure: %v", err)
		}
	case err == nil:
		b.acknowledged = true
		m.batches = append(m.batches, b)
	case errors.As(err, &failed):
		if failed.First != b.first || failed.Last != b.last || !errors.Is(err, event.ErrOutcomeUnknown) {
			m.t.Fatalf("append of %d to %d: %v", b.first, b.last, err)
		}
		m.failed = true
		m.unknown[b.first] = true
		m.batches = append(m.batches, b)
	case errors.Is(err, ErrFull):
		m.full(n, size)
	default:
		m.t.Fatalf("append of %d to %d: %v", b.first, b.last, err)
	}
}

// full checks that a journal is only full when something has to be folded, and
// not any more after it was.
func (m *model) full(n, size int) {
	if m.folded == m.last() {
		m.t.Fatalf("journal is full with everything folded, %+v", m.journal.Stats())
	}
	m.fold(m.last())
	m.append(n, size)
}

// fold puts the batches that end at or below upTo into the log.
func (m *model) fold(upTo uint64) {
	for _, b := range m.batches {
		if b.last > upTo || !b.acknowledged {
			break
		}
		m.folded = max(m.folded, b.last)
	}
	if err := m.journal.Recycle(m.folded); err != nil {
		m.t.Fatalf("recycle up to %d: %v", m.folded, err)
	}
}

// open opens the journal and compares. It returns false when the disk failed.
func (m *model) open() bool {
	m.options.Folded = m.folded
	j, r, err := Open(testDir, m.options)
	if m.disk.dead || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
		return false
	}
	if err != nil {
		m.t.Fatalf("open with the log at %d: %v", m.folded, err)
	}
	m.journal, m.failed = j, false
	m.compare(r)
	m.bounded()
	return true
}

// compare checks what was recovered: all that was acknowledged and not folded,
// in order, and maybe the one last batch that was not acknowledged; nothing
// else.
func (m *model) compare(r *Recovered) {
	at := 0 // of the batch that is next
	frames, size := 0, int64(0)
	for f, err := range r.Folded() {
		if err != nil {
			m.t.Fatalf("folded frames: %v", err)
		}
		for at < len(m.batches) && m.batches[at].first < f.First {
			at++
		}
		m.same(at, f)
		at++
		if f.Last > m.folded {
			m.t.Fatalf("frame %d to %d is called folded, the log ends at %d", f.First, f.Last, m.folded)
		}
	}
	for at = 0; at < len(m.batches) && m.batches[at].last <= m.folded; {
		at++
	}
	begin := at
	for f, err := range r.Unfolded() {
		if err != nil {
			m.t.Fatalf("frames: %v", err)
		}
		m.same(at, f)
		at++
		frames++
		size += int64(len(f.Payload))
	}
	for _, b := range m.batches[at:] {
		if b.acknowledged {
			m.t.Fatalf("positions %d to %d were acknowledged and are lost; the log ends at %d, recovered %+v", b.first, b.last, m.folded, r)
		}
	}
	if r.Frames != frames || r.Bytes != size {
		m.t.Fatalf("recovered %d frames of %d bytes, reported %+v", frames, size, r)
	}
	if at > begin && (r.First != m.batches[begin].first || r.Last != m.batches[at-1].last) {
		m.t.Fatalf("recovered %d to %d, reported %+v", m.batches[begin].first, m.batches[at-1].last, r)
	}
	m.batches = m.batches[:at]
	if r.Cut != nil && (r.Cut.Position != m.last()+1 || !m.unknown[r.Cut.Position]) {
		m.t.Fatalf("reported %v after position %d", r.Cut, m.last())
	}
}

func (m *model) same(at int, f Frame) {
	if at >= len(m.batches) {
		m.t.Fatalf("frame %d to %d was never appended, %d batches were", f.First, f.Last, len(m.batches))
	}
	if b := m.batches[at]; f.First != b.first || f.Last != b.last || !bytes.Equal(f.Payload, b.payload) {
		m.t.Fatalf("frame %d to %d of %d bytes, appended was %d to %d of %d bytes", f.First, f.Last, len(f.Payload), b.first, b.last, len(b.payload))
	}
}

// bounded checks the space taken.
func (m *model) bounded() {
	if n := len(m.disk.segmentsIn()); n > m.options.Segments {
		m.t.Fatalf("%d segments, at most %d allowed", n, m.options.Segments)
	}
}

// reopen opens the journal after a crash, however many more it takes, and folds
// what is found, as a store does before it serves.
func (m *model) reopen() {
	for {
		if m.disk.dead || rapid.Bool().Draw(m.t, "power") {
			m.disk.losePower()
		} else {
			m.disk.kill()
		}
		m.crashes++
		m.arm("again")
		if !m.open() {
			continue
		}
		if m.last() > m.folded {
			if err := m.journal.Append(m.last()+1, m.records(1, 9)); !errors.Is(err, ErrUnfolded) {
				m.t.Fatalf("append before what was recovered is folded: %v", err)
			}
		}
		if rapid.IntRange(0, 3).Draw(m.t, "before the fold") == 0 {
			continue
		}
		break
	}
	if len(m.batches) > 0 {
		m.batches[len(m.batches)-1].acknowledged = true // by the log
	}
	m.fold(m.last())
}

// arm maybe plants a fault or a loss of power some operations ahead.
func (m *model) arm(label string) {
	n := rapid.IntRange(1, 12).Draw(m.t, label+" operations")
	switch rapid.SampledFrom([]string{"none", "none", "power", "write", "sync", "short", "space", "meta"}).Draw(m.t, label) {
	case "power":
		m.disk.powerAfter = n
	case "write":
		m.disk.fault, _ = failNth(opWrite, n, syscall.EIO)
	case "sync":
		m.disk.fault, _ = failNth(opSync, n, syscall.EIO)
	case "short":
		m.disk.fault, _ = failNth(opWrite, n, io.ErrShortWrite)
	case "space":
		m.disk.fault, _ = failNth(opWrite, n, syscall.ENOSPC)
	case "meta":
		m.disk.fault, _ = failNth(opMeta, n, syscall.EIO)
	}
}

// TestModel runs random appends, folds, faults and crashes against a slice.
func TestModel(t *testing.T) {
	t.Parallel()
	var states atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for !m.open() {
			m.disk.losePower()
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				limit := int(m.journal.MaxPayload())
				n := rapid.IntRange(1, 5).Draw(t, "records")
				size := rapid.IntRange(8, limit/n).Draw(t, "size")
				m.append(n, size)
			},
			"append small": func(t *rapid.T) { m.append(rapid.IntRange(1, 3).Draw(t, "records"), 100) },
			"fold": func(t *rapid.T) {
				m.fold(rapid.Uint64Range(m.folded, m.last()).Draw(t, "up to"))
			},
			"grow": func(t *rapid.T) {
				before := m.journal.Stats().Segments
				grown, err := m.journal.Grow()
				if err == nil && grown != (before < m.options.Segments) {
					t.Fatalf("grow with %d of %d segments: %v", before, m.options.Segments, grown)
				}
				m.bounded()
			},
			"fold a little": func(*rapid.T) { m.fold(m.folded + 2) },
			"end": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "close") {
					err := m.journal.Close()
					if err == nil && !m.failed && m.folded == m.last() && !m.disk.dead {
						m.empty()
					}
				}
				m.reopen()
			},
			"arm": func(t *rapid.T) { m.arm("fault") },
		})
		m.reopen()
		states.Add(int64(m.crashes))
	})
	t.Logf("%d crash states", states.Load())
}

// empty checks that a clean close leaves nothing to read.
func (m *model) empty() {
	for _, name := range m.disk.segmentsIn() {
		h, ok := parseSegmentHeader(m.disk.seen[name].seen)
		if !ok || h.state != stateFree {
			m.t.Fatalf("%s is not empty after a clean close: %+v", name, h)
		}
	}
}

// TestEverySubset takes the power in the middle of every operation of a short
// life, and then every subset of the sectors that were not synced.
func TestEverySubset(t *testing.T) {
	t.Parallel()
	states := 0
	for steps := 1; ; steps++ {
		disk := newSimDisk(uint64(steps), 1024)
		disk.powerAfter = steps
		life := live(t, disk)
		if !disk.dead {
			break
		}
		for after := range everySubset(t, disk) {
			states++
			got, _ := recoverAll(t, after, life.folded)
			appended := life.appended[life.folded:]
			if n := len(got); n > len(appended) || n != life.acknowledged-int(life.folded) && n != life.acknowledged-int(life.folded)+1 {
				t.Fatalf("power lost in operation %d: %d batches, appended %d, acknowledged %d, folded %d", steps, n, len(life.appended), life.acknowledged, life.folded)
			}
			for i := range got {
				if !bytes.Equal(got[i], appended[i]) {
					t.Fatalf("power lost in operation %d: batch %d differs", steps, i)
				}
			}
		}
	}
	t.Logf("%d crash states", states)
	if states < 1000 {
		t.Errorf("%d crash states are too few", states)
	}
}

// everySubset yields the disk after a loss of power, once for each subset of
// the sectors that were not synced.
func everySubset(t *testing.T, disk *simDisk) iter.Seq[*simDisk] {
	type sector struct {
		name string
		at   int
		data []byte
	}
	var open []sector
	for name, f := range disk.stable {
		for n, versions := range f.dirty {
			open = append(open, sector{name, n * disk.sector, versions[len(versions)-1]})
		}
	}
	if len(open) > 12 {
		t.Fatalf("%d open sectors are too many to try all subsets", len(open))
	}
	return func(yield func(*simDisk) bool) {
		for subset := range 1 << len(open) {
			after := newSimDisk(0, disk.sector)
			for name, f := range disk.stable {
				data := bytes.Clone(f.stable)
				for i, s := range open {
					if s.name == name && subset&(1<<i) != 0 {
						copy(data[s.at:], s.data)
					}
				}
				after.stable[name] = &simFile{stable: data, seen: data}
				after.seen[name] = after.stable[name]
			}
			if !yield(after) {
				return
			}
		}
	}
}

// shortLife is what happened to a journal until the power went. Every batch is
// one event.
type shortLife struct {
	appended     [][]byte
	acknowledged int
	folded       uint64
}

// live goes round two segments of a new journal, with all but the last batch
// folded.
func live(t *testing.T, disk *simDisk) (life shortLife) {
	t.Helper()
	j, _, err := Open(testDir, Options{Store: testStore, SegmentSize: 5 * blockSize, Segments: 2, FS: disk})
	for i := 0; err == nil && i < 8; i++ {
		payload := bytes.Repeat([]byte{byte(i + 1)}, blockSize*(i%3)+100)
		life.appended = append(life.appended, payload)
		if err = j.Append(uint64(i+1), [][]byte{payload}); err == nil {
			life.acknowledged++
		}
		if i >= 2 && err == nil {
			life.folded = uint64(i)
			err = j.Recycle(life.folded)
		}
	}
	if err != nil && !disk.dead {
		t.Fatal(err)
	}
	return life
}

// recoverAll opens a journal and returns what the log at folded is missing.
func recoverAll(t testing.TB, disk *simDisk, folded uint64) ([][]byte, *Recovered) {
	t.Helper()
	j, r, err := Open(testDir, Options{Store: testStore, Folded: folded, SegmentSize: 5 * blockSize, FS: disk})
	if err != nil {
		t.Fatalf("open with the log at %d: %v", folded, err)
	}
	payloads, err := unfolded(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return payloads, r
}

// unfolded collects the payloads, and checks that positions are dense.
func unfolded(r *Recovered) ([][]byte, error) {
	var payloads [][]byte
	next := r.First
	for f, err := range r.Unfolded() {
		if err != nil {
			return nil, err
		}
		if f.First != next || f.Last < f.First {
			return nil, fmt.Errorf("frame %d to %d, position %d was next", f.First, f.Last, next)
		}
		next = f.Last + 1
		payloads = append(payloads, bytes.Clone(f.Payload))
	}
	return payloads, nil
}
