package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
)

// noBob is a version of the bank's view that fails on one owner, and gives the
// others a bonus.
type noBob struct{ bank.Balances }

func (p noBob) OnOpened(tx accountview.BalancesTx, at event.Event, e account.Opened) error {
	if e.Owner() == "bob" {
		return errors.New("bob is not welcome")
	}
	return tx.Put(accountview.Balance{Account: at.StreamID(), Owner: e.Owner(), Balance: 1})
}

// endless is a version whose handler returns when it must.
type endless struct{ bank.Balances }

func (endless) OnOpened(tx accountview.BalancesTx, _ event.Event, _ account.Opened) error {
	<-tx.Context().Done()
	return context.Cause(tx.Context())
}

const viewsDirVariable = "ES_TEST_VIEWS_DIR"

// TestViewsEngine is the process of TestViews that keeps the views: it says
// that it has begun, and ends with its input.
func TestViewsEngine(t *testing.T) {
	dir := os.Getenv(viewsDirVariable)
	if dir == "" {
		t.Skip("runs as a process of TestViews")
	}
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for stream, owner := range map[string]string{"account-1": "ada", "account-2": "bob"} {
		if _, err := log.Append(t.Context(), event.Append{Stream: stream, Events: []event.Proposed{account.NewOpened(owner)}}); err != nil {
			t.Fatal(err)
		}
	}
	candidate, third := accountview.Balances(noBob{}), accountview.Balances(endless{})
	candidate.Version, third.Version = "2", "3"
	views, err := projection.Open(dir, log, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}), candidate, third)
	if err != nil {
		t.Fatal(err)
	}
	if err := views.At(t.Context(), 2, func(*projection.Snapshot) error { return nil }); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("begun\n")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Error(err)
	}
	if err := views.Close(); err != nil {
		t.Error(err)
	}
}

// engineProcess keeps views in a directory until stop is called.
func engineProcess(t *testing.T, dir string) (stop func()) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestViewsEngine$")
	command.Env = append(os.Environ(), viewsDirVariable+"="+dir, asTool+"=") // the tests, not the tool
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "begun\n" {
		t.Fatalf("the engine said %q, %v", line, err)
	}
	return func() {
		input.Close()
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// listed waits until es views list shows what is wanted.
func listed(t *testing.T, dir string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		status, stdout, stderr := es(t, "views", "list", dir)
		if status != 0 {
			t.Fatalf("list: %s", stderr)
		}
		found := true
		words := strings.Join(strings.Fields(stdout), " ")
		for _, w := range want {
			found = found && strings.Contains(words, w)
		}
		if found {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %q in\n%s", want, stdout)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "views")
	for _, args := range [][]string{{"views", "list", dir}, {"views", dir}} {
		if status, _, stderr := es(t, args...); status != 1 || !strings.Contains(stderr, "there are no views in") || !strings.Contains(stderr, dir) {
			t.Errorf("nothing there: %d, %s", status, stderr)
		}
	}
	must := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := es(t, append([]string{"views"}, args...)...)
		if status != 0 {
			t.Fatalf("es views %q: %s", args, stderr)
		}
		return stdout
	}
	refused := func(want string, args ...string) {
		t.Helper()
		status, _, stderr := es(t, append([]string{"views"}, args...)...)
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("es views %q: %d, %s; want %q", args, status, stderr, want)
		}
	}
	stop := engineProcess(t, dir)
	listed(t, dir, "position 2", "balances 1 yes live 2 0 2", "balances 2 parked", "balances@3: the handler has not returned from position 1 since ")
	list := must("list", dir)
	if short := must(dir); short != list {
		t.Errorf("es views DIR: %s, want what es views list DIR says: %s", short, list)
	}
	refused(fmt.Sprintf("such as %q", dir), "list", filepath.Dir(dir))
	refused("es views "+dir+" lists those there are", "compare", dir, "balances", "1", "7")
	position := "2"
	if strings.Contains(list, "is parked at position 1 ") {
		position = "1"
	}
	refused("is parked at position", "compare", dir, "balances", "1", "2")
	refused("is parked at position", "switch", dir, "balances", "2")
	refused("is parked at position", "skip", dir, "balances@2", "7")
	refused(`unknown view "nothing"`, "rebuild", dir, "nothing")
	must("resume", dir, "balances@2")
	listed(t, dir, "balances 2 parked")
	must("skip", dir, "balances@2", position)
	listed(t, dir, "balances 2 live 2 0 1", "skips position "+position)
	if got := must("compare", dir, "balances", "1", "2"); !strings.Contains(got, `"1" differs in balance`) || !strings.Contains(got, `"2" only in 1`) {
		t.Errorf("compare: %s", got)
	}
	must("switch", dir, "balances", "2")
	listed(t, dir, "balances 2 yes live")
	refused(`read from version "2"`, "drop", dir, "balances", "2")
	must("rebuild", dir, "balances")
	must("drop", dir, "balances", "1")
	if list := must("list", dir); strings.Contains(list, "only") || strings.Contains(strings.Join(strings.Fields(list), " "), "balances 1 ") {
		t.Errorf("after the drop:\n%s", list)
	}
	stop()
	if list := must("list", dir); strings.Contains(list, "has not returned") {
		t.Errorf("without an engine:\n%s", list)
	}

	// Without an engine a request waits for the next one.
	refused("no engine has answered", "switch", dir, "balances", "1", "--wait", "1ms")
	stop = engineProcess(t, dir)
	listed(t, dir, "balances 1 yes live")
	stop()
}

func TestViewsOfThisProcess(t *testing.T) {
	t.Parallel()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	views, err := projection.Open(dir, log, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := es(t, "views", "list", dir); status != 1 || !strings.Contains(stderr, "already open in this process") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if err := views.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := es(t, "views", "list", dir); status != 0 {
		t.Errorf("after Close: status %d: %s", status, stderr)
	}
}
