package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

// counting counts what is read.
type counting struct {
	event.Log
	mu           sync.Mutex
	reads, count int
}

func (l *counting) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	page, err := l.Log.ReadPage(ctx, s, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	l.count += page.Count
	return page, err
}

func (l *counting) want(t *testing.T, reads, count int) {
	t.Helper()
	if l.reads != reads || l.count != count {
		t.Errorf("%d reads of %d events, want %d of %d", l.reads, l.count, reads, count)
	}
}

func newCampus(t testing.TB) *memstore.Store {
	t.Helper()
	log, err := memstore.New(course.Schema)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func newCourses(log event.Log, o aggregate.Options) *course.Handler {
	return course.NewHandler(log, campus.Registrar{MaxCourses: 2}, o)
}

// Once an aggregate was loaded, its commands read nothing, whatever they append.
func TestWarmCommandsReadNothing(t *testing.T) {
	t.Parallel()
	log := &counting{Log: newLog(t)}
	must(t)(newBank(log).Open(t.Context(), "1", "ada"))
	accounts := newBank(log)
	*log = counting{Log: log.Log}
	for i := range 10 {
		r := must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
		if r.Version != uint64(i+2) {
			t.Errorf("version %d after credit %d", r.Version, i)
		}
	}
	log.want(t, 1, 1)
	wantBalance(t, accounts, "1", 10)
	log.want(t, 2, 1) // Load looks for more, and there is none
}

// Where another handler was faster, only what it has added is read.
func TestConflictsReadOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	log := &counting{Log: newLog(t)}
	one, other := newBank(log), newBank(log.Log)
	must(t)(one.Open(t.Context(), "1", "ada"))
	for range 3 {
		must(t)(other.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	}
	*log = counting{Log: log.Log}
	if r := must(t)(one.Credit(t.Context(), "1", account.CreditFields{Amount: 1})); r.Version != 5 {
		t.Errorf("receipt %+v", r)
	}
	log.want(t, 1, 3)
	if s := one.Stats(); s.Conflicts != 1 {
		t.Errorf("stats %+v", s)
	}
}

// An answer without events is never given on what the cache has: another handler
// may have changed the aggregate. Neither is an attempt used up by that.
func TestRefusalsAreNotMadeOnTheCache(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(t), t.Context()
	here := account.NewHandler(log, bank.Teller{}, aggregate.Options{MaxAttempts: 1})
	there := newBank(log)
	must(t)(here.Open(ctx, "1", "ada"))
	must(t)(there.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	must(t)(here.Debit(ctx, "1", account.DebitFields{Amount: 10}, aggregate.Expect(2)))
	must(t)(there.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	must(t)(here.Debit(ctx, "1", account.DebitFields{Amount: 10}))
	must(t)(there.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	must(t)(here.Credit(ctx, "1", account.CreditFields{Amount: 1}))
	must(t)(here.Open(ctx, "2", "bob"))
	must(t)(there.Close(ctx, "2"))
	var rejected *aggregate.RejectedError
	if _, err := here.Transfer(ctx, "1", "2", account.TransferFields{Amount: 1}); !errors.As(err, &rejected) {
		t.Errorf("to an account that was closed elsewhere: %v", err)
	}
}

// Whoever loads a state may change it.
func TestLoadedStateIsTheCallers(t *testing.T) {
	t.Parallel()
	courses := newCourses(newCampus(t), aggregate.Options{})
	ctx := t.Context()
	must(t)(courses.Schedule(ctx, "1", "Go", course.ScheduleFields{Seats: 9}))
	must(t)(courses.Enrol(ctx, "1", "ada"))
	s, _, err := courses.Load(ctx, "1")
	if err != nil {
		t.Fatal(err)
	}
	s.Students[0] = "eve"
	must(t)(courses.Enrol(ctx, "1", "bob"))
	if s, _, err := courses.Load(ctx, "1"); err != nil || !slices.Equal(s.Students, []string{"ada", "bob"}) {
		t.Errorf("loaded %v, %v", s, err)
	}
}

// vandal changes what it is shown when it decides, and what is behind it.
type vandal struct{ campus.Registrar }

func (v vandal) DecideEnrol(s *course.Course, c course.Enrol, out *course.Decision) error {
	err := v.Registrar.DecideEnrol(s, c, out)
	if len(s.Students) > 0 {
		s.Students[0] = "eve"
	}
	s.Students = append(s.Students[:0], "mallory", "trudy")
	return err
}

func TestDecidersCantPoisonTheCache(t *testing.T) {
	t.Parallel()
	courses := course.NewHandler(newCampus(t), vandal{campus.Registrar{MaxCourses: 2}}, aggregate.Options{})
	ctx := t.Context()
	must(t)(courses.Schedule(ctx, "1", "Go", course.ScheduleFields{Seats: 3}))
	for _, student := range []string{"ada", "bob", "cyd"} {
		must(t)(courses.Enrol(ctx, "1", student))
		_, err := courses.Enrol(ctx, "1", student)
		wantRejected(t, err, "already_enrolled")
	}
	if s, _, err := courses.Load(ctx, "1"); err != nil || !slices.Equal(s.Students, []string{"ada", "bob", "cyd"}) {
		t.Errorf("loaded %v, %v", s, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	log := &counting{Log: newLog(t)}
	const limit = 10_000
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{CacheBytes: limit})
	for i := range 100 {
		must(t)(accounts.Open(t.Context(), fmt.Sprint(i), "ada"))
	}
	s := accounts.Stats()
	if s.CachedBytes > limit || s.CachedBytes < limit/2 || s.CachedStates < 3 || s.Evictions == 0 || s.CachedStates+int(s.Evictions) != 100 {
		t.Errorf("stats %+v", s)
	}
	*log = counting{Log: log.Log}
	must(t)(accounts.Credit(t.Context(), "99", account.CreditFields{Amount: 1})) // used last: kept
	log.want(t, 0, 0)
	must(t)(accounts.Credit(t.Context(), "0", account.CreditFields{Amount: 1}))
	log.want(t, 1, 1)
}

// A state that does not fit, and a cache of nothing, cost time and nothing else.
func TestWithoutCache(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, -1} {
		accounts := account.NewHandler(newLog(t), bank.Teller{}, aggregate.Options{CacheBytes: size})
		must(t)(accounts.Open(t.Context(), "1", "ada"))
		must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
		wantBalance(t, accounts, "1", 1)
		if s := accounts.Stats(); s.CachedBytes != 0 || s.CachedStates != 0 {
			t.Errorf("stats %+v", s)
		}
	}
}

// What is charged for a state follows what is in it, not what it was made of.
func TestChargeFollowsTheState(t *testing.T) {
	t.Parallel()
	accounts := newBank(newLog(t))
	must(t)(accounts.Open(t.Context(), "1", "ada"))
	for range 1000 {
		must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1, Memo: "a word or two about what this is for"}))
	}
	if s := accounts.Stats(); s.CachedBytes > 16<<10 {
		t.Errorf("a small state is charged with %d bytes", s.CachedBytes)
	}
}

// Two handlers and many callers on a few aggregates: every command counts once.
func TestCachesUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	handlers := []*account.Handler{newBank(log), newBank(log)}
	for id := range 3 {
		must(t)(handlers[0].Open(t.Context(), fmt.Sprint(id), "ada"))
		must(t)(handlers[0].Credit(t.Context(), fmt.Sprint(id), account.CreditFields{Amount: 100}))
	}
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := range 40 {
				from, to := (caller+i)%3, (caller+i+1)%3
				must(t)(handlers[caller%2].Transfer(t.Context(), fmt.Sprint(from), fmt.Sprint(to), account.TransferFields{Amount: 1}))
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for id := range 3 {
		var balances []int64
		for _, h := range append(handlers, newBank(log)) {
			s, _, err := h.Load(t.Context(), fmt.Sprint(id))
			if err != nil {
				t.Fatal(err)
			}
			balances = append(balances, s.Balance)
		}
		if balances[0] != balances[1] || balances[0] != balances[2] {
			t.Errorf("account %d has %v", id, balances)
		}
		total += balances[0]
	}
	if total != 300 {
		t.Errorf("%d in all, want 300", total)
	}
}

// swapped is a log that can become another one, as a server does whose backup is
// restored.
type swapped struct{ event.Log }

func TestAnotherStoreEmptiesTheCache(t *testing.T) {
	t.Parallel()
	log := &swapped{newLog(t)}
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Open(ctx, "2", "ada"))
	restored := newLog(t)
	must(t)(newBank(restored).Open(ctx, "1", "bob"))
	log.Log = restored
	if s, version, err := accounts.Load(ctx, "1"); err != nil || s.Owner != "bob" || version != 1 {
		t.Errorf("loaded %+v at %d, %v", s, version, err)
	}
	if s := accounts.Stats(); s.CachedStates != 1 {
		t.Errorf("stats %+v", s)
	}
}

// A backup is restored and goes on differently: versions and positions are what
// they were, and say nothing. Nothing that was read before is decided on.
func TestRestoredLogIsReadAnew(t *testing.T) {
	t.Parallel()
	log := &swapped{newLog(t)}
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	restored := newLog(t)
	must(t)(newBank(restored).Open(ctx, "1", "ada"))
	must(t)(newBank(restored).Credit(ctx, "1", account.CreditFields{Amount: 1}))
	log.Log = restored
	_, err := accounts.Debit(ctx, "1", account.DebitFields{Amount: 10})
	wantRejected(t, err, "insufficient_funds")
	if r := must(t)(accounts.Debit(ctx, "1", account.DebitFields{Amount: 1})); r.Version != 3 {
		t.Errorf("receipt %+v", r)
	}
}

// The same between a query and its append.
func TestQueriesAreOfOneLog(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	past := func(student string) *memstore.Store {
		log := newCampus(t)
		courses := newCourses(log, aggregate.Options{})
		for id := range 3 {
			must(t)(courses.Schedule(ctx, fmt.Sprint(id), "Go", course.ScheduleFields{Seats: 9}))
		}
		must(t)(courses.Enrol(ctx, "0", student))
		must(t)(courses.Enrol(ctx, "1", student))
		return log
	}
	log, restored := &swapped{past("bob")}, past("ada")
	meddling := &meddler{Log: log, before: func() { log.Log = restored }}
	_, err := newCourses(meddling, aggregate.Options{}).Enrol(ctx, "2", "ada")
	wantRejected(t, err, "too_many_courses")
	wantHead(t, restored, 5)
}

// A log that is another one again and again is given up.
func TestLogsThatKeepChanging(t *testing.T) {
	t.Parallel()
	log := &neverTheSame{Log: newLog(t)}
	if _, err := newBank(log).Open(t.Context(), "1", "ada"); !errors.As(err, new(*event.StoreChangedError)) {
		t.Errorf("got %v", err)
	}
	if log.appends != 2 {
		t.Errorf("%d appends, want 2", log.appends)
	}
}

type neverTheSame struct {
	event.Log
	appends int
}

func (l *neverTheSame) Append(context.Context, event.Append) (event.Receipt, error) {
	l.appends++
	return event.Receipt{}, &event.StoreChangedError{Store: event.ID{byte(l.appends)}}
}
