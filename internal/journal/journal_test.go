package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// TestDisk goes through a journal's life on the real disk, with and without the
// page cache.
func TestDisk(t *testing.T) {
	t.Parallel()
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprintf("cached=%v", cached), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store", "journal")
			o := Options{Store: testStore, SegmentSize: 64 << 10, FS: Disk{Cached: cached}}
			j, r, err := Open(dir, o)
			if err != nil || r.Frames != 0 {
				t.Fatalf("new journal: %+v, %v", r, err)
			}
			var want [][]byte
			for i := range 10 {
				records := [][]byte{bytes.Repeat([]byte{byte(i)}, 3000), bytes.Repeat([]byte{byte(i + 100)}, 2000)}
				if err := j.Append(uint64(2*i+1), records); err != nil {
					t.Fatal(err)
				}
				want = append(want, bytes.Join(records, nil))
			}

			// Another process opens it after this one was killed.
			k, r, err := Open(dir, o)
			if err != nil || r.First != 1 || r.Last != 20 || r.Frames != 10 || r.Bytes != 50000 || r.Cut != nil {
				t.Fatalf("recovered %+v, %v", r, err)
			}
			if got, err := unfolded(r); err != nil || !equal(got, want) {
				t.Fatalf("recovered %d batches, %v", len(got), err)
			}
			if err := errors.Join(k.Recycle(20), k.Append(21, [][]byte{{1}}), k.Recycle(21), k.Close(), k.Close()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(k.Append(22, [][]byte{{1}}), k.Recycle(21)); !errors.Is(err, ErrClosed) {
				t.Fatalf("closed journal: %v", err)
			}
			if _, err := k.Grow(); !errors.Is(err, ErrClosed) {
				t.Fatalf("closed journal grows: %v", err)
			}

			o.Folded = 21
			if _, r, err = Open(dir, o); err != nil || len(r.live) != 0 {
				t.Fatalf("clean close left %+v, %v", r, err)
			}
		})
	}
}

// TestOrder checks what Append and Recycle refuse, with the journal unharmed.
func TestOrder(t *testing.T) {
	t.Parallel()
	o := Options{Store: testStore, Folded: 4, SegmentSize: 4 * blockSize, FS: newSimDisk(1, 512)}
	j := mustOpen(t, o)
	one := [][]byte{{1}}
	for _, first := range []uint64{0, 4, 6} {
		if err := j.Append(first, one); err == nil {
			t.Errorf("appended at %d after 4", first)
		}
	}
	if err := j.Append(5, nil); err == nil {
		t.Error("appended nothing")
	}
	var large *event.TooLargeError
	if err := j.Append(5, [][]byte{make([]byte, j.MaxPayload()+1)}); !errors.As(err, &large) || large.Limit != uint64(j.MaxPayload()) {
		t.Errorf("too large a batch: %v", err)
	}
	if err := j.Append(5, [][]byte{make([]byte, j.MaxPayload())}); err != nil {
		t.Errorf("largest batch: %v", err)
	}
	if err := j.Recycle(6); err == nil {
		t.Error("recycled what was not appended")
	}
	if err := errors.Join(j.Recycle(5), j.Recycle(3)); err != nil {
		t.Error(err)
	}
	if s := j.Stats(); s.Last != 5 || s.Recycled != 5 || s.Frames != 1 || s.Bytes != 3*blockSize {
		t.Errorf("%+v", s)
	}
}

// TestOptions checks what Open refuses.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{},
		{Store: testStore, SegmentSize: 4096},
		{Store: testStore, SegmentSize: 10000},
		{Store: testStore, Segments: 1},
		{Store: testStore, Folded: 1<<64 - 1},
	} {
		o.FS = newSimDisk(1, 512)
		if _, _, err := Open(testDir, o); err == nil {
			t.Errorf("opened with %+v", o)
		}
	}
}

// TestFull fills a journal, and goes on after a part of it was folded.
func TestFull(t *testing.T) {
	t.Parallel()
	disk := newSimDisk(1, 512)
	j := mustOpen(t, Options{Store: testStore, SegmentSize: 3 * blockSize, Segments: 3, FS: disk})
	next := uint64(1)
	appendUntilFull := func() (n int) {
		t.Helper()
		for ; ; n++ {
			switch err := j.Append(next, [][]byte{make([]byte, 100)}); {
			case err == nil:
				next++
			case errors.Is(err, ErrFull):
				return n
			default:
				t.Fatal(err)
			}
		}
	}
	if n := appendUntilFull(); n != 4 {
		t.Fatalf("%d frames fit into 2 segments", n)
	}
	for _, want := range []bool{true, false} {
		if grown, err := j.Grow(); err != nil || grown != want {
			t.Fatalf("grow: %v, %v", grown, err)
		}
	}
	if n := appendUntilFull(); n != 2 {
		t.Fatalf("%d frames fit into another segment", n)
	}
	if err := j.Recycle(3); err != nil {
		t.Fatal(err)
	}
	if n := appendUntilFull(); n != 2 {
		t.Fatalf("%d frames fit into the segment that is free", n)
	}
	if err := j.Recycle(8); err != nil {
		t.Fatal(err)
	}
	if n := appendUntilFull(); n != 6 {
		t.Fatalf("%d frames fit with everything free", n)
	}
	if n := len(disk.seen); n != 3 {
		t.Fatalf("%d files", n)
	}
}

// TestResize opens a journal with other sizes: what holds something stays, what
// is free is replaced.
func TestResize(t *testing.T) {
	t.Parallel()
	disk, payloads := filled(t)
	o := Options{Store: testStore, SegmentSize: 8 * blockSize, Segments: 2, FS: disk}
	j, r, err := Open(testDir, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unfolded(r); err != nil || !equal(got, payloads) {
		t.Fatalf("recovered %d batches, %v", len(got), err)
	}
	large := [][]byte{make([]byte, j.MaxPayload())}
	for i := range uint64(4) {
		if err := errors.Join(j.Recycle(i+4), j.Append(i+5, large)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Recycle(8), j.Close()); err != nil {
		t.Fatal(err)
	}
	o.Folded = 8
	mustOpen(t, o)
	for _, name := range disk.segmentsIn() {
		if n := len(disk.seen[name].seen); n != 8*blockSize {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
	if n := len(disk.seen); n != 2 {
		t.Errorf("%d files", n)
	}
}

// TestFailureIsFinal fails a write or a sync once, and appends again.
func TestFailureIsFinal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		op   operation
		n    int
	}{
		{"segment header write", opWrite, 1},
		{"segment header sync", opSync, 1},
		{"first frame write", opWrite, 2},
		{"first frame sync", opSync, 2},
		{"second frame sync", opSync, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := newSimDisk(1, 512)
			j := mustOpen(t, Options{Store: testStore, SegmentSize: 4 * blockSize, FS: disk})
			fault, hit := failNth(test.op, test.n, syscall.EIO)
			disk.fault = fault
			next := uint64(1)
			err := error(nil)
			for ; err == nil; next++ {
				err = j.Append(next, [][]byte{{1}})
			}
			failed := next - 1
			changes := disk.changes
			for range 3 {
				var f *FailedError
				if !*hit || !errors.As(err, &f) || f.First != failed || !errors.Is(err, event.ErrOutcomeUnknown) || !errors.Is(err, syscall.EIO) {
					t.Fatalf("got %v", err)
				}
				err = j.Append(failed, [][]byte{{1}})
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if disk.changes != changes {
				t.Errorf("%d changes after the failure", disk.changes-changes)
			}
		})
	}
}

// TestNoSpace runs out of space where a segment is made, which leaves the
// journal as it was.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	disk := newSimDisk(1, 512)
	o := Options{Store: testStore, SegmentSize: 4 * blockSize, FS: disk}
	disk.fault, _ = failNth(opWrite, 1, syscall.ENOSPC)
	if _, _, err := Open(testDir, o); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Fatalf("open: %v", err)
	}
	j := mustOpen(t, o)
	disk.fault, _ = failNth(opWrite, 1, syscall.ENOSPC)
	if _, err := j.Grow(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("grow: %v", err)
	}
	if err := j.Append(1, [][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	if grown, err := j.Grow(); err != nil || !grown {
		t.Fatalf("grow with space again: %v, %v", grown, err)
	}
	for name := range disk.seen {
		if filepath.Ext(name) != segmentSuffix {
			t.Errorf("%s is left", name)
		}
	}
}

// TestConcurrent folds, grows and looks beside the appends.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	j, _, err := Open(t.TempDir(), Options{Store: testStore, SegmentSize: 16 << 10, FS: Disk{}})
	if err != nil {
		t.Fatal(err)
	}
	appended := make(chan uint64, 64)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(appended)
		for next := uint64(1); next <= 200; {
			switch err := j.Append(next, [][]byte{make([]byte, 500)}); {
			case err == nil:
				appended <- next
				next++
			case !errors.Is(err, ErrFull):
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for last := range appended {
			if err := j.Recycle(last); err != nil {
				t.Error(err)
			}
			if _, err := j.Grow(); err != nil {
				t.Error(err)
			}
			if s := j.Stats(); s.Last < last || s.Segments > DefaultSegments {
				t.Errorf("%+v after position %d", s, last)
			}
		}
	})
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnfinished opens a journal over a segment that was being made.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(segmentName(dir, 1)+temporarySuffix, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	j, _, err := Open(dir, Options{Store: testStore, SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(segmentName(dir, 1) + temporarySuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unfinished segment: %v", err)
	}
}
