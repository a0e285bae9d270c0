package eventstore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// TestClosedStoreHasAnEmptyJournal looks at the files of a closed store: the log
// by itself has everything, and the journal nothing.
func TestClosedStoreHasAnEmptyJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	log, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var raw [][]byte
	if err := log.env.View(func(txn *lmdbenv.Txn) error {
		c, err := txn.OpenCursor(log.records)
		if err != nil {
			return err
		}
		defer c.Close()
		for {
			_, record, err := c.Get(nil, nil, lmdbenv.Next)
			if lmdbenv.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			raw = append(raw, bytes.Clone(record))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(raw, records, bytes.Equal) {
		t.Errorf("the log has %d records, %d were read", len(raw), len(records))
	}
	j, found, err := journal.Open(filepath.Join(dir, journalDir), journal.Options{Store: log.store, Folded: uint64(len(raw)), SegmentSize: 528384})
	if err != nil || found.Frames != 0 || found.Cut != nil || j.Stats().Free != j.Stats().Segments {
		t.Errorf("the journal: %+v, %v", found, err)
	}
	if err := errors.Join(j.Close(), log.env.Close()); err != nil {
		t.Error(err)
	}
}

// crashed makes a store whose process ended before its log took anything up. It
// returns the directory, with all events in the journal, and their records.
func crashed(t *testing.T) (dir string, records [][]byte) {
	t.Helper()
	dir = shmDir(t)
	gone := errors.New("the process is gone")
	s, err := Open(dir, Options{
		Schemas: eventstoretest.Schema, MaxAppend: 8 << 10, MaxJournal: 64 << 10,
		hooks: hooks{fs: journal.Disk{Cached: true}, at: func(p point) error {
			if p == pointFold {
				return &lmdbenv.CommitError{Err: gone}
			}
			return nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		a := event.Append{Stream: "ledger-1", Key: strings.Repeat("k", i+1), Events: []event.Proposed{eventstoretest.Noted("x", int64(i)), eventstoretest.Struck(1)}}
		mustAppend(t, s, a)
	}
	for e, err := range s.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, bytes.Clone(e.Record()))
	}
	if err := s.Close(); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	return dir, records
}

// TestFlippedJournalIsNeverTrusted flips a bit in every byte of a journal that
// holds acknowledged events. Open must fail, or all events be there, or, where
// the last frame looks torn, that be reported.
func TestFlippedJournalIsNeverTrusted(t *testing.T) {
	t.Parallel()
	made, records := crashed(t)
	segments, err := filepath.Glob(filepath.Join(made, journalDir, "*.seg"))
	if err != nil || len(segments) != 2 {
		t.Fatal(segments, err)
	}
	outcomes := map[string]int{}
	for _, segment := range segments {
		content, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		step := 5
		switch {
		case *crashStates >= 1000: // the long run
			step = 1
		case testing.Short():
			step = 37
		}
		for at := 0; at < len(content); at += step {
			if block := content[at&^4095:][:4096]; at%4096 >= 1400 || bytes.Count(block, []byte{0}) == len(block) {
				continue // behind the frames, which have at most that
			}
			bad := bytes.Clone(content)
			bad[at] ^= 1 << (at % 8)
			outcome := openDamaged(t, made, segment, bad, records)
			if outcomes[outcome]++; t.Failed() {
				t.Fatalf("byte %d of %s flipped", at, filepath.Base(segment))
			}
		}
	}
	t.Log(outcomes)
	if outcomes["refused"] == 0 || outcomes["cut"] == 0 || outcomes["whole"] == 0 {
		t.Errorf("outcomes: %v", outcomes)
	}
}

// openDamaged opens a copy of the store with another segment, and says what came
// of it.
func openDamaged(t *testing.T, made, segment string, content []byte, want [][]byte) string {
	t.Helper()
	dir := shmDir(t)
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, journalDir, filepath.Base(segment)), content)
	var report bytes.Buffer
	s, err := Open(dir, Options{
		MaxAppend: 8 << 10, MaxJournal: 64 << 10, Logger: slog.New(slog.NewTextHandler(&report, nil)),
		hooks: hooks{fs: journal.Disk{Cached: true}},
	})
	if err != nil {
		return "refused"
	}
	defer s.Close()
	var got [][]byte
	for e, err := range s.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Errorf("read: %v", err)
			return "wrong"
		}
		got = append(got, bytes.Clone(e.Record()))
	}
	switch {
	case slices.EqualFunc(got, want, bytes.Equal):
		return "whole"
	case slices.EqualFunc(got, want[:len(want)-2], bytes.Equal) && strings.Contains(report.String(), "torn"):
		return "cut"
	}
	t.Errorf("%d events of %d, reported: %s", len(got), len(want), report.String())
	return "wrong"
}
