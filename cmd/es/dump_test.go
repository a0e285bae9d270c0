package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// bankStore makes a store of four events and returns it, open, with them.
func bankStore(t *testing.T) (dir string, store *eventstore.Store, events []event.Event) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: account.Schema})
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range []event.Append{
		{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: 1500, Memo: "a\x1b[2J"})}},
		{Stream: "account-2", Events: []event.Proposed{account.NewOpened("bob")}, Key: "k"},
		{Stream: "account-1", Events: []event.Proposed{account.NewDebited(account.DebitedFields{Amount: 500})}},
	} {
		if _, err := store.Append(t.Context(), a); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	for e, err := range store.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return dir, store, events
}

func closedBankStore(t *testing.T) (string, []event.Event) {
	t.Helper()
	dir, store, events := bankStore(t)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, events
}

func TestDumpSelects(t *testing.T) {
	dir, events := closedBankStore(t)
	for _, c := range []struct {
		args      []string
		positions string
	}{
		{nil, "[1 2 3 4]"},
		{[]string{"--limit", "2"}, "[1 2]"},
		{[]string{"--after", "3"}, "[4]"},
		{[]string{"--after", "4"}, "[]"},
		{[]string{"--stream", "account-2"}, "[3]"},
		{[]string{"--stream", "account-1", "--after", "1", "--limit", "1"}, "[2]"},
		{[]string{"--where", "amount >= 500"}, "[2 4]"},
		{[]string{"--where", "amount >= 500", "--limit", "1"}, "[2]"},
		{[]string{"--where", "amount >= 500", "--stream", "account-2"}, "[]"},
		{[]string{"--where", "amount > 10000"}, "[]"},
		{[]string{"--where", `owner == "bob"`}, "[3]"},
	} {
		status, stdout, stderr := es(t, append([]string{"dump", dir, "--json"}, c.args...)...)
		if status != 0 || stderr != "" {
			t.Errorf("%q: status %d, stderr %q", c.args, status, stderr)
		}
		positions := []int{}
		for line := range strings.Lines(stdout) {
			var shown struct {
				Position int
				ID, Type string
				Time     time.Time
				Data     map[string]any
			}
			if err := json.Unmarshal([]byte(line), &shown); err != nil {
				t.Fatalf("%q: %v: %s", c.args, err, line)
			}
			positions = append(positions, shown.Position)
			if e := events[shown.Position-1]; shown.ID != e.ID().String() || !shown.Time.Equal(e.Time()) || shown.Type != e.Type() || len(shown.Data) == 0 {
				t.Errorf("%q: %s is not %v", c.args, line, e)
			}
		}
		if got := fmt.Sprint(positions); got != c.positions {
			t.Errorf("%q: %s, want %s", c.args, got, c.positions)
		}
	}
}

func TestDumpForPeople(t *testing.T) {
	dir, events := closedBankStore(t)
	status, stdout, stderr := es(t, "dump", dir, "--after", "1", "--limit", "2")
	want := `position     2
id           ` + events[1].ID().String() + `
time         ` + events[1].Time().Format("2006-01-02T15:04:05.000Z") + `
stream       account-1
version      2
type         bank.account.Credited
schema       ` + fmt.Sprintf("%016x", events[1].Schema()) + `
append       2 of 2
data
  amount  1500
  memo    "a\u001b[2J"

position     3
id           ` + events[2].ID().String() + `
time         ` + events[2].Time().Format("2006-01-02T15:04:05.000Z") + `
stream       account-2
version      1
type         bank.account.Opened
schema       ` + fmt.Sprintf("%016x", events[2].Schema()) + `
tags         owner:bob
key          "k"
data
  owner  "bob"
`
	if status != 0 || stdout != want || stderr != "" {
		t.Errorf("status %d, stderr %q, stdout\n%s\nwant\n%s", status, stderr, stdout, want)
	}
}

func TestDumpErrors(t *testing.T) {
	dir, store, _ := bankStore(t)
	if status, _, stderr := es(t, "dump", dir); status != 0 || stderr != "" {
		t.Errorf("beside a writer: status %d, stderr %q", status, stderr)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	empty, nowhere := t.TempDir(), filepath.Join(t.TempDir(), "nowhere")
	for want, args := range map[string][]string{
		"nowhere\" has no log: give the directory of a store":    {nowhere},
		"not an event store: ":                                   {empty},
		"--limit: -1 is negative":                                {dir, "--limit=-1"},
		`bank.account.Closed has no field "amuont": it has none`: {dir, "--where", "amuont > 1"},
		"character 8":                   {dir, "--where", "amount = 1"},
		"after":                         {dir, "--after", "5"},
		"is not compared with a string": {dir, "--where", "amount == 'x'"},
	} {
		status, stdout, stderr := es(t, append([]string{"dump"}, args...)...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, stderr %q, want …%s…, stdout %q", args, status, stderr, want, stdout)
		}
	}
	for _, dir := range []string{nowhere, empty} {
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s was made a store", dir)
		}
	}
}
