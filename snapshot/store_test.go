package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon writes without waiting for more.
var soon = snapshot.Options{MaxBytes: 1 << 20, Interval: time.Nanosecond}

func open(t *testing.T, dir string, o snapshot.Options) *snapshot.Store {
	t.Helper()
	s, err := snapshot.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func reopen(t *testing.T, s *snapshot.Store, dir string, o snapshot.Options) *snapshot.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, o)
}

func one(stream string, version uint64, state string) aggregate.Snapshot {
	return aggregate.Snapshot{Stream: stream, Version: version, ID: event.ID{1, 15: byte(version)}, Schema: 7, Revision: 9, State: []byte(state)}
}

func save(t *testing.T, s *snapshot.Store, snaps ...aggregate.Snapshot) {
	t.Helper()
	for _, snap := range snaps {
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
	}
}

func want(t *testing.T, s *snapshot.Store, snap aggregate.Snapshot) {
	t.Helper()
	got, ok, err := s.Load(t.Context(), snap.Stream)
	if err != nil || !ok {
		t.Errorf("no snapshot of %q: %v", snap.Stream, err)
		return
	}
	if fmt.Sprint(got) != fmt.Sprint(snap) {
		t.Errorf("loaded %v, want %v", got, snap)
	}
}

func wantNone(t *testing.T, s *snapshot.Store, stream string) {
	t.Helper()
	if got, ok, err := s.Load(t.Context(), stream); ok || err != nil {
		t.Errorf("%q has %v, %v", stream, got, err)
	}
}

// await waits until a store has written that many snapshots.
func await(t *testing.T, s *snapshot.Store, written uint64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.Stats().Written < written; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("stats %+v", s.Stats())
		}
	}
}

func TestNewestSnapshotIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, soon)
	wantNone(t, s, "a-1")
	save(t, s, one("a-1", 3, "three"))
	want(t, s, one("a-1", 3, "three")) // written or not
	await(t, s, 1)
	want(t, s, one("a-1", 3, "three"))
	save(t, s, one("a-1", 5, "five"), one("a-2", 1, ""))
	want(t, s, one("a-1", 5, "five"))
	s = reopen(t, s, dir, soon)
	want(t, s, one("a-1", 5, "five"))
	want(t, s, one("a-2", 1, ""))
	wantNone(t, s, "a-3")
}

func TestOldestMakeRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := snapshot.Options{MaxBytes: 20_000, Interval: time.Nanosecond}
	s := open(t, dir, o)
	state := string(make([]byte, 1000))
	for i := range 50 {
		save(t, s, one(fmt.Sprintf("a-%d", i), 1, state))
		await(t, s, uint64(i+1))
		if i > 0 {
			save(t, s, one("a-0", uint64(i), state)) // always among the newest
			want(t, s, one("a-0", uint64(i), state))
		}
	}
	s = reopen(t, s, dir, o)
	kept := 0
	for i := range 50 {
		if _, ok, err := s.Load(t.Context(), fmt.Sprintf("a-%d", i)); err != nil {
			t.Error(err)
		} else if ok {
			kept++
		}
	}
	if kept < 15 || kept > 20 {
		t.Errorf("%d of 1 kB are kept within 20 kB", kept)
	}
	want(t, s, one("a-49", 1, state))
	want(t, s, one("a-0", 49, state))
	wantNone(t, s, "a-1")
}

func TestBounds(t *testing.T) {
	t.Parallel()
	o := snapshot.Options{MaxBytes: 1 << 20, MaxState: 100, MaxPending: 300, Interval: time.Hour}
	s := open(t, t.TempDir(), o)
	if err := s.Save(t.Context(), one("a-1", 1, string(make([]byte, 101)))); !errors.As(err, new(*event.TooLargeError)) {
		t.Errorf("a state that is too large: %v", err)
	}
	for i := range 4 {
		save(t, s, one(fmt.Sprintf("a-%d", i), 1, string(make([]byte, 80))))
	}
	save(t, s, one("a-0", 2, string(make([]byte, 80)))) // in the place of another
	want(t, s, one("a-0", 2, string(make([]byte, 80))))
	if got := s.Stats(); got.Dropped != 2 {
		t.Errorf("stats %+v", got)
	}
	wantNone(t, s, "a-3")
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, soon)
	if _, err := snapshot.Open(dir, soon); err == nil {
		t.Error("opened twice")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), one("a-1", 1, "")); err == nil {
		t.Error("saved after closing")
	}
	if _, _, err := s.Load(t.Context(), "a-1"); err == nil {
		t.Error("loaded after closing")
	}
}

// A flipped bit makes a snapshot none; a file that is cut off makes all of them
// none, and is begun anew. What is not ours is left alone.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, soon)
	save(t, s, one("a-1", 1, "a state that is damaged"), one("a-2", 1, "a state that is not"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "data.mdb")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.ReplaceAll(b, []byte("that is damaged"), []byte("that is Damaged"))
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(flipped)
	s = open(t, dir, soon)
	wantNone(t, s, "a-1")
	want(t, s, one("a-2", 1, "a state that is not"))
	if got := s.Stats(); got.Damaged != 1 {
		t.Errorf("stats %+v", got)
	}
	save(t, s, one("a-1", 2, "another one"))
	s = reopen(t, s, dir, soon)
	want(t, s, one("a-1", 2, "another one"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	write(b[:len(b)/2/4096*4096])
	s = open(t, dir, soon)
	wantNone(t, s, "a-2")
	save(t, s, one("a-2", 3, "anew"))
	s = reopen(t, s, dir, soon)
	want(t, s, one("a-2", 3, "anew"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	write([]byte("somebody's diary"))
	if _, err := snapshot.Open(dir, soon); err == nil {
		t.Error("opened a diary")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "somebody's diary" {
		t.Errorf("the diary is %q, %v", b, err)
	}
}

// A writing that failed is over with the next one that does not. What fails here
// is a key that is longer than LMDB's.
func TestErrorPasses(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), soon)
	save(t, s, one(strings.Repeat("a", 600), 1, "state"))
	for deadline := time.Now().Add(20 * time.Second); s.Stats().Err == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("stats %+v", s.Stats())
		}
	}
	save(t, s, one("a-1", 1, "state"))
	await(t, s, 1)
	if got := s.Stats(); got.Err != nil || got.Dropped != 1 {
		t.Errorf("stats %+v", got)
	}
	want(t, s, one("a-1", 1, "state"))
}

// With a handler: the next process reads the events since the snapshot only.
func TestHandlersSnapshots(t *testing.T) {
	t.Parallel()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := open(t, dir, soon)
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{Snapshots: s, SnapshotEvery: 10})
	if _, err := accounts.Open(t.Context(), "1", "ada"); err != nil {
		t.Fatal(err)
	}
	for range 25 {
		if _, err := accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 2}); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s, dir, soon)
	next := account.NewHandler(log, bank.Teller{}, aggregate.Options{Snapshots: s})
	state, version, err := next.Load(t.Context(), "1")
	if err != nil || version != 26 || state.Balance != 50 || state.Owner != "ada" {
		t.Errorf("loaded %+v at %d, %v", state, version, err)
	}
	if got := next.Stats(); got.SnapshotsLoaded != 1 || got.SnapshotsIgnored != 0 {
		t.Errorf("stats %+v", got)
	}
}
