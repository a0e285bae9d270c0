package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// retaining opens a store that knows keys for an hour and forgets them by few,
// with a clock that the test moves.
func retaining(t *testing.T, dir string) (*Store, *atomic.Int64) {
	t.Helper()
	s := openFaulty(t, dir, Options{KeyRetention: time.Hour, hooks: hooks{forget: 8, chunk: 4}})
	clock := new(atomic.Int64)
	s.committer.now = func() time.Time { return time.UnixMilli(clock.Load()) }
	return s, clock
}

func underKey(key string, amount int64) event.Append {
	return event.Append{Stream: "ledger-1", Key: key, Events: []event.Proposed{eventstoretest.Struck(amount)}}
}

// indexedKeys is how many keys the index holds once it has followed.
func indexedKeys(t *testing.T, s *Store) (n uint64) {
	t.Helper()
	if _, err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.index.env.View(func(txn *lmdbenv.Txn) error {
		stat, err := txn.Stat(s.index.keys)
		n = stat.Entries
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKeysAreForgotten asks for keys just before and just after their time, while
// they are in the tail, in the index, and in an index that was made again.
func TestKeysAreForgotten(t *testing.T) {
	t.Parallel()
	const start = 1_700_000_000_000
	hour := time.Hour.Milliseconds()
	for name, then := range map[string]func(t *testing.T, s *Store, dir string) (*Store, *atomic.Int64){
		"in the tail": func(t *testing.T, s *Store, dir string) (*Store, *atomic.Int64) { return s, nil },
		"in the index": func(t *testing.T, s *Store, dir string) (*Store, *atomic.Int64) {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return retaining(t, dir)
		},
		"in an index made again": func(t *testing.T, s *Store, dir string) (*Store, *atomic.Int64) {
			if err := errors.Join(s.Close(), os.RemoveAll(filepath.Join(dir, indexDir))); err != nil {
				t.Fatal(err)
			}
			return retaining(t, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, clock := retaining(t, dir)
			clock.Store(start)
			first := mustAppend(t, s, underKey("a", 1))
			clock.Store(start + 1)
			mustAppend(t, s, underKey("b", 1))
			// The head is recorded exactly an hour after the first one: it is known.
			clock.Store(start + hour)
			mustAppend(t, s, struck("ledger-2"))
			s, moved := then(t, s, dir)
			if moved == nil {
				moved = clock
			}
			moved.Store(start + 10*hour) // the clock alone changes nothing
			if got, ok, err := s.AppendByKey(t.Context(), "a"); err != nil || !ok || got.First != first.First {
				t.Errorf("after exactly an hour: %+v, %v, %v", got, ok, err)
			}
			if got := mustAppend(t, s, underKey("a", 1)); !got.Repeated || got.First != first.First {
				t.Errorf("after exactly an hour: %+v", got)
			}
			if _, err := s.Append(t.Context(), underKey("a", 2)); !errors.As(err, new(*event.KeyReusedError)) {
				t.Errorf("with other content: %v", err)
			}
			moved.Store(start + hour + 1)
			mustAppend(t, s, struck("ledger-2"))
			if _, ok, err := s.AppendByKey(t.Context(), "a"); err != nil || ok {
				t.Errorf("a millisecond later: %v, %v", ok, err)
			}
			if _, ok, err := s.AppendByKey(t.Context(), "b"); err != nil || !ok {
				t.Errorf("a millisecond later, the next one: %v, %v", ok, err)
			}
			// It can be used again, and then the new one is known.
			second := mustAppend(t, s, underKey("a", 2))
			if second.Repeated {
				t.Errorf("used again: %+v", second)
			}
			if got := mustAppend(t, s, underKey("a", 2)); !got.Repeated || got.First != second.First {
				t.Errorf("and again: %+v, want %+v", got, second)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(dir, indexDir)); err != nil {
				t.Fatal(err)
			}
			s, _ = retaining(t, dir)
			if got, ok, err := s.AppendByKey(t.Context(), "a"); err != nil || !ok || got.First != second.First {
				t.Errorf("from an index made again: %+v, %v, %v", got, ok, err)
			}
		})
	}
}

// TestForgottenKeysLeaveTheIndex has far more keys than are known at a time.
func TestForgottenKeysLeaveTheIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, clock := retaining(t, dir)
	minute := time.Minute.Milliseconds()
	const last = 600 // ten hours
	for i := range int64(last) {
		clock.Store(1_700_000_000_000 + i*minute)
		mustAppend(t, s, underKey(fmt.Sprintf("k%d", i), i))
		if i%50 == 0 {
			if n := indexedKeys(t, s); n > 61+50+8 {
				t.Fatalf("%d keys in the index after %d", n, i)
			}
		}
	}
	check := func(when string) {
		t.Helper()
		for i := range int64(last) {
			_, ok, err := s.AppendByKey(t.Context(), fmt.Sprintf("k%d", i))
			if want := i >= last-61; err != nil || ok != want {
				t.Fatalf("%s, key %d: %v, %v", when, i, ok, err)
			}
		}
		if n := indexedKeys(t, s); n < 61 || n > 61+8 {
			t.Errorf("%s: %d keys in the index", when, n)
		}
		if report, err := s.Verify(t.Context()); err != nil || !report.OK() {
			t.Errorf("%s: %+v, %v", when, report, err)
		}
	}
	check("as they came")
	if err := errors.Join(s.Close(), os.RemoveAll(filepath.Join(dir, indexDir))); err != nil {
		t.Fatal(err)
	}
	s, _ = retaining(t, dir)
	check("in an index made again")
}

// TestRebuildingPassesOverOldKeys makes an index again, many events at a time: keys
// that nobody knows any more are not written to be removed.
func TestRebuildingPassesOverOldKeys(t *testing.T) {
	t.Parallel()
	s, clock := retaining(t, t.TempDir())
	for i := range int64(600) {
		clock.Store(1_700_000_000_000 + i*time.Minute.Milliseconds())
		mustAppend(t, s, underKey(fmt.Sprintf("k%d", i), i))
	}
	if _, err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.index.reset(s.log.store); err != nil {
		t.Fatal(err)
	}
	for at := uint64(0); at < 600; at += 100 {
		if err := s.log.env.View(func(txn *lmdbenv.Txn) error {
			c := newChunk(at)
			if err := (logView{s.log, txn}).gather(c, at+1, at+100); err != nil {
				return err
			}
			h := harvest{chunks: []*chunk{c}, after: at, to: c.last(), head: s.recent.snapshot().head.id, retention: time.Hour}
			return s.index.store(s.log.store, &h)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.index.env.View(func(txn *lmdbenv.Txn) error {
		stat, err := txn.Stat(s.index.keys)
		if err != nil {
			return err
		}
		at, err := s.index.forgotten(txn)
		if stat.Entries != 100 || at != 500 {
			t.Errorf("%d keys, and those up to position %d forgotten", stat.Entries, at)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestForgettingGoesAroundDamage: a record that can't be read keeps old keys, and
// not the store from going on.
func TestForgettingGoesAroundDamage(t *testing.T) {
	t.Parallel()
	s, clock := retaining(t, t.TempDir())
	clock.Store(1_700_000_000_000)
	for i := range 10 {
		mustAppend(t, s, underKey(fmt.Sprintf("k%d", i), 1))
	}
	if _, err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := event.Trusted(mustRead(t, s)[3]).ID()
	record := mustRead(t, s)[3]
	bad := append([]byte(nil), record...)
	bad[40] ^= 1
	overwrite(t, s.log.env, s.log.records, first[:], bad)
	clock.Add(2 * time.Hour.Milliseconds())
	for range 20 {
		mustAppend(t, s, struck("ledger-1"))
	}
	if n := indexedKeys(t, s); n != 10 {
		t.Errorf("%d keys in the index", n)
	}
	if reason := s.Stats().ReadOnly; reason != "" {
		t.Errorf("read-only: %s", reason)
	}
	overwrite(t, s.log.env, s.log.records, first[:], record)
}

func TestNegativeRetentionIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.TempDir(), Options{KeyRetention: -1}); err == nil {
		t.Error("no error")
	}
}

// TestNoSpaceToForget has the disk be full when keys are to be removed, and not
// before: what the index took up it has, and must not take up again.
func TestNoSpaceToForget(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	s := openFaulty(t, t.TempDir(), Options{KeyRetention: time.Hour, hooks: hooks{forget: 8, chunk: 4, at: func(p point) error {
		if p == pointForget && full.Load() {
			return &lmdb.OpError{Op: "mdb_del", Errno: syscall.ENOSPC}
		}
		return nil
	}}})
	clock := new(atomic.Int64)
	s.committer.now = func() time.Time { return time.UnixMilli(clock.Load()) }
	full.Store(true)
	for n := range 40 {
		clock.Add(2 * time.Hour.Milliseconds())
		mustAppend(t, s, underKey(fmt.Sprint(n), 1))
		if n == 20 {
			if got := indexedKeys(t, s); got != 21 {
				t.Errorf("%d keys are in the index, with no space to remove any", got)
			}
			full.Store(false)
		}
	}
	if got := indexedKeys(t, s); got >= 21 {
		t.Errorf("%d keys are in the index, with space to remove them", got)
	}
	if stats := s.Stats(); stats.ReadOnly != "" || stats.IndexPosition != 40 {
		t.Errorf("the index has position %d of 40; read-only: %q", stats.IndexPosition, stats.ReadOnly)
	}
}
