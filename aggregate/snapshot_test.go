package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// shelf keeps snapshots in memory.
type shelf struct {
	mu   sync.Mutex
	of   map[string]aggregate.Snapshot
	fail error
}

func (s *shelf) Load(_ context.Context, stream string) (aggregate.Snapshot, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.of[stream]
	return found, ok, s.fail
}

func (s *shelf) Save(_ context.Context, snapshot aggregate.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.of[snapshot.Stream] = snapshot
	}
	return s.fail
}

func (s *shelf) change(change func(*aggregate.Snapshot)) *shelf {
	changed := &shelf{of: map[string]aggregate.Snapshot{}}
	for stream, one := range s.of {
		change(&one)
		changed.of[stream] = one
	}
	return changed
}

func snapshotting(log event.Log, s aggregate.Snapshots, revision uint32) *account.Handler {
	return account.NewHandler(log, bank.Teller{}, aggregate.Options{Snapshots: s, SnapshotEvery: 10, Revision: revision})
}

// credited is a log with an account of n events, and the snapshots of whoever
// wrote it.
func credited(t *testing.T, n int) (*counting, *shelf) {
	t.Helper()
	log, s := &counting{Log: newLog(t)}, &shelf{of: map[string]aggregate.Snapshot{}}
	accounts := snapshotting(log, s, 0)
	must(t)(accounts.Open(t.Context(), "1", "ada"))
	for range n - 1 {
		must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	}
	*log = counting{Log: log.Log}
	return log, s
}

func TestSnapshotsSpareReading(t *testing.T) {
	t.Parallel()
	log, s := credited(t, 25)
	if got := s.of["account-1"]; got.Version != 20 || len(s.of) != 1 {
		t.Fatalf("the snapshots are %+v", s.of)
	}
	accounts := snapshotting(log, s, 0)
	wantBalance(t, accounts, "1", 24)
	log.want(t, 1, 6) // the snapshot's own event, and five that follow
	if st := accounts.Stats(); st.SnapshotsLoaded != 1 || st.SnapshotsSaved != 0 {
		t.Errorf("stats %+v", st)
	}
	must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	wantBalance(t, accounts, "1", 25)
}

// Reading much is a reason for a snapshot, too.
func TestLongLoadsAreSnapshotted(t *testing.T) {
	t.Parallel()
	log, _ := credited(t, 25)
	s := &shelf{of: map[string]aggregate.Snapshot{}}
	wantBalance(t, snapshotting(log, s, 0), "1", 24)
	if got := s.of["account-1"]; got.Version != 25 {
		t.Errorf("the snapshot is %+v", got)
	}
}

// What does not hold is not believed: the whole stream is read.
func TestSnapshotsAreNeverTheTruth(t *testing.T) {
	t.Parallel()
	log, s := credited(t, 25)
	restored, _ := credited(t, 15) // another past, and a shorter one
	for name, c := range map[string]struct {
		log      *counting
		snaps    *shelf
		revision uint32
		balance  int64
	}{
		"another schema":     {log, s.change(func(s *aggregate.Snapshot) { s.Schema++ }), 0, 24},
		"another revision":   {log, s, 1, 24},
		"another event":      {log, s.change(func(s *aggregate.Snapshot) { s.ID[15]++ }), 0, 24},
		"another version":    {log, s.change(func(s *aggregate.Snapshot) { s.Version-- }), 0, 24},
		"no version":         {log, s.change(func(s *aggregate.Snapshot) { s.Version = 0 }), 0, 24},
		"a later version":    {log, s.change(func(s *aggregate.Snapshot) { s.Version = 99 }), 0, 24},
		"bytes that are cut": {log, s.change(func(s *aggregate.Snapshot) { s.State = s.State[:8] }), 0, 24},
		"no bytes":           {log, s.change(func(s *aggregate.Snapshot) { s.State = nil }), 0, 24},
		"another store":      {restored, s, 0, 14},
	} {
		t.Run(name, func(t *testing.T) {
			accounts := snapshotting(c.log, c.snaps, c.revision)
			wantBalance(t, accounts, "1", c.balance)
			if st := accounts.Stats(); st.SnapshotsIgnored != 1 || st.SnapshotsLoaded != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestFailingSnapshotsCostNothing(t *testing.T) {
	t.Parallel()
	log, _ := credited(t, 25)
	accounts := snapshotting(log, &shelf{fail: errors.New("disk on fire")}, 0)
	wantBalance(t, accounts, "1", 24)
	must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	if st := accounts.Stats(); st.SnapshotErrors != 2 { // one for loading, one for saving
		t.Errorf("stats %+v", st)
	}
}

// A snapshot and every number of events behind it lead to the same state.
func TestSnapshotsAtEveryDistance(t *testing.T) {
	t.Parallel()
	for n := 8; n < 35; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			log, s := credited(t, n)
			wantBalance(t, snapshotting(log, s, 0), "1", int64(n-1))
		})
	}
}
