package aggregate_test

import (
	"errors"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

func TestSeveralCommandsInOneAppend(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(t), t.Context()
	accounts := newBank(log)
	must(t)(accounts.Open(ctx, "2", "bob"))
	r := must(t)(accounts.HandleAll(ctx, "1", batch, aggregate.Expect(0), aggregate.Key("k")))
	if r != (aggregate.Receipt{Position: 7, Version: 4, Count: 6}) {
		t.Errorf("receipt %+v", r)
	}
	for e, err := range event.Read(ctx, log, event.Selection{After: 1}) {
		if err != nil || e.BatchSize() != 6 {
			t.Errorf("%v in an append of %d, %v", e, e.BatchSize(), err)
		}
	}
	wantBalance(t, accounts, "1", 3)
	wantBalance(t, accounts, "2", 7)
	again := must(t)(accounts.HandleAll(ctx, "1", batch, aggregate.Key("k")))
	if !again.Repeated || again.Position != 7 || again.Count != 6 {
		t.Errorf("repeated: %+v", again)
	}
	if _, err := accounts.HandleAll(ctx, "1", batch[:2], aggregate.Key("k")); !errors.As(err, new(*event.KeyReusedError)) {
		t.Errorf("others with its key: %v", err)
	}
}

var batch = []aggregate.Command{
	account.OpenCommand("ada"),
	account.CreditCommand(account.CreditFields{Amount: 10}),
	account.TransferCommand("2", account.TransferFields{Amount: 6}),
	account.TransferCommand("2", account.TransferFields{Amount: 1}),
}

func TestOneRejectedRejectsAll(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	_, err := newBank(log).HandleAll(t.Context(), "1", []aggregate.Command{account.OpenCommand("ada"), account.DebitCommand(account.DebitFields{Amount: 1})})
	var one *aggregate.BatchError
	if !errors.As(err, &one) || one.Index != 1 || one.Command != account.DebitType {
		t.Errorf("got %v", err)
	}
	wantRejected(t, err, "insufficient_funds")
	if _, err := newBank(log).HandleAll(t.Context(), "1", nil); !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("no commands: %v", err)
	}
	wantHead(t, log, 0)
}
