package projection

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// leaveSwitches makes a directory with two versions of "counts", closes it, and
// leaves requests to read these versions, one after the other.
func leaveSwitches(t *testing.T, m *memory, versions ...string) (dir string, ids []string) {
	t.Helper()
	dir = t.TempDir()
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	e := open(t, dir, m, counts(nil), doubled(nil))
	countOf(t, e, last, "counts@1", "ada")
	countOf(t, e, last, "counts@2", "ada")
	closeEngine(t, e)
	d, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		id, err := d.leave(Ask{Action: "switch", View: "counts", Version: version})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, ids
}

// serveInbox opens the views until every request is answered.
func serveInbox(t *testing.T, dir string, m *memory, ids []string, fail func(failpoint) error, then func(e *Engine, answers []answer)) {
	t.Helper()
	e, err := Open(dir, m, Options{
		Logger: quiet(), MapSize: 1 << 30, HandlerTimeout: 200 * time.Millisecond, failpoint: fail,
	}, counts(nil), doubled(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		var waiting int
		var answers []answer
		err := e.env.View(func(txn *lmdbenv.Txn) error {
			if err := e.catalog.scan(txn, requestPrefix, func(string, []byte) error { waiting++; return nil }); err != nil {
				return err
			}
			for _, id := range ids {
				value, found, err := getKey(txn, e.catalog.db, []byte(answerPrefix+id))
				if err != nil || !found {
					return err
				}
				var a answer
				if err := json.Unmarshal(value, &a); err != nil {
					return err
				}
				answers = append(answers, a)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			if len(answers) != len(ids) {
				t.Fatalf("%d requests have %d answers", len(ids), len(answers))
			}
			then(e, answers)
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%d of %d requests were not served", waiting, len(ids))
		}
	}
}

func TestRequestsAreServedInOrder(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var versions []string
	for range 20 {
		versions = append(versions, "1", "2")
	}
	dir, ids := leaveSwitches(t, m, versions...)
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("requests are not in the order in which they were made: %v", ids)
	}
	serveInbox(t, dir, m, ids, nil, func(e *Engine, answers []answer) {
		for i, a := range answers {
			if a.Error != "" {
				t.Errorf("request %d: %s", i, a.Error)
			}
		}
		statsOfVersion(t, e, "counts", "2", func(v ViewStats) bool { return v.Serving })
	})
}

// A request that meets trouble is answered with it, and not tried for ever.
func TestRequestInTroubleIsAnswered(t *testing.T) {
	t.Parallel()
	m := newMemory()
	dir, ids := leaveSwitches(t, m, "2")
	serveInbox(t, dir, m, ids, func(at failpoint) error {
		if at == beforeSwitch {
			return errors.New("no such luck")
		}
		return nil
	}, func(e *Engine, answers []answer) {
		if !strings.Contains(answers[0].Error, "no such luck") {
			t.Errorf("answer: %+v", answers[0])
		}
		for _, changed, _ := e.reached(0, nil); e.Stats().Err != nil; _, changed, _ = e.reached(0, nil) {
			<-changed
		}
	})
}

// Whoever dies behind the transaction of a request has answered it.
func TestRequestIsServedOnce(t *testing.T) {
	t.Parallel()
	m := newMemory()
	dir, ids := leaveSwitches(t, m, "2")
	serveInbox(t, dir, m, ids, func(at failpoint) error {
		if at == afterRequest {
			return errors.New("crash")
		}
		return nil
	}, func(_ *Engine, answers []answer) {
		if answers[0].Error != "" {
			t.Errorf("answer: %+v", answers[0])
		}
	})
	e := open(t, dir, m, counts(nil), doubled(nil))
	statsOfVersion(t, e, "counts", "2", func(v ViewStats) bool { return v.Serving })
}

func TestOldAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), newMemory(), counts(nil))
	now := time.Now()
	var ids []string
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		for id, at := range map[string]time.Time{"old": now.Add(-2 * answersKept), "young": now.Add(-answersKept / 2)} {
			value, err := json.Marshal(answer{Time: at})
			if err != nil {
				return err
			}
			if err := txn.Put(e.catalog.db, []byte(answerPrefix+id), value, 0); err != nil {
				return err
			}
		}
		id, err := e.catalog.ask(txn, Ask{Action: "rebuild", View: "counts"})
		if err != nil {
			return err
		}
		if err := e.catalog.answer(txn, id, nil); err != nil {
			return err
		}
		return e.catalog.scan(txn, answerPrefix, func(id string, _ []byte) error {
			ids = append(ids, id)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 || ids[1] != "young" {
		t.Errorf("answers are left to %v", ids)
	}
}
