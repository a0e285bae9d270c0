package eventstore

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// smallSegments has three frames fit into a segment.
var smallSegments = Options{MaxAppend: 8 << 10, MaxJournal: 64 << 10}

// crashedInSecondSegment makes a store whose process ended when the log had the
// three events of one segment, and not yet the fourth, which is in another one.
func crashedInSecondSegment(t *testing.T) (dir string) {
	t.Helper()
	dir = shmDir(t)
	gone := errors.New("the process is gone")
	var ended atomic.Bool
	o := smallSegments
	o.Schemas = eventstoretest.Schema
	o.hooks = hooks{fs: journal.Disk{Cached: true}, at: func(p point) error {
		if p == pointFold && ended.Load() {
			return &lmdbenv.CommitError{Err: gone}
		}
		return nil
	}}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustAppend(t, s, struck("ledger-1"))
		if _, err := s.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ended.Store(true)
	mustAppend(t, s, struck("ledger-1"))
	if err := s.Close(); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	return dir
}

// TestSegmentIsMissed removes each of the segments of a store that was not
// closed: the one that the log has, and the one that it has not.
func TestSegmentIsMissed(t *testing.T) {
	t.Parallel()
	made := crashedInSecondSegment(t)
	segments, err := filepath.Glob(filepath.Join(made, journalDir, "*.seg"))
	if err != nil || len(segments) < 2 {
		t.Fatal(segments, err)
	}
	var heads []uint64
	used := 0
	for _, segment := range segments {
		content, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		if string(content[4096:4100]) == "VBJF" {
			used++
		}
		dir := shmDir(t)
		lost := filepath.Join(dir, journalDir, filepath.Base(segment))
		if err := errors.Join(os.CopyFS(dir, os.DirFS(made)), os.Remove(lost)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := Open(dir, smallSegments); !errors.Is(err, ErrJournalMissing) {
				t.Fatalf("without %q: %v", lost, err)
			}
		}
		if report, err := VerifyDir(t.Context(), dir, nil); err != nil || report.OK() {
			t.Errorf("verify without %q: %+v, %v", lost, report, err)
		}
		back := shmDir(t)
		if err := os.CopyFS(back, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		if s := openFaulty(t, back, smallSegments); s.Stats().Head != 4 {
			t.Errorf("put back: the head is %d", s.Stats().Head)
		}
		if err := AbandonJournal(dir); err != nil {
			t.Fatal(err)
		}
		s := openFaulty(t, dir, smallSegments)
		heads = append(heads, s.Stats().Head)
		mustAppend(t, s, struck("ledger-1"))
	}
	// What was given up is what was lost, and no more.
	lost := 0
	for _, head := range heads {
		if head != 4 && head != 3 {
			t.Errorf("given up: the heads are %d", heads)
		}
		if head == 3 {
			lost++
		}
	}
	if lost != 1 || used != 2 {
		t.Errorf("given up: the heads are %d, where one segment of %d held position 4", heads, used)
	}
}
