// This file is copied into a module of its own, beside the code that is
// generated there from ../features/ledger.fbs.
package ledgertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"example.test/shop/ledger"
	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/schema"
)

var visa = ledger.Card{Number: "4711", Expires: 1227}

// read verifies what a constructor built, and reads it from a record.
func read(t *testing.T, p event.Proposed) event.Event {
	t.Helper()
	set, err := schema.Load(ledger.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(p.Type, p.Schema, p.Data); err != nil {
		t.Fatalf("the verifier refuses what the constructor built: %v", err)
	}
	record, err := event.BuildRecord(&event.Append{Stream: "invoice-1", Events: []event.Proposed{p}}, 0, p.Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, event.ID{1}, 1, 1)
	e, err := event.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestUnions(t *testing.T) {
	p := ledger.NewPaid(&ledger.Split{First: &visa, Second: &ledger.Split{First: &ledger.Cash{Currency: "EUR"}}}, visa, ledger.PaidFields{})
	paid, ok := ledger.AsPaid(read(t, p))
	if !ok {
		t.Fatal("not a Paid")
	}
	if k := paid.PaymentKind(); k != ledger.PaymentKindSplit || k.String() != "split" {
		t.Errorf("payment is %v", k)
	}
	if _, ok := paid.PaymentCard(); ok {
		t.Error("a Split is read as a Card")
	}
	split, ok := paid.PaymentSplit()
	if !ok {
		t.Fatal("no Split")
	}
	if card, ok := split.FirstCard(); !ok || card.Number() != "4711" || card.Expires() != 1227 {
		t.Errorf("first: %v %v", card.Number(), ok)
	}
	inner, ok := split.SecondSplit()
	cash, also := inner.FirstCash()
	if !ok || !also || cash.Currency() != "EUR" || inner.SecondKind() != ledger.PaymentKindNONE {
		t.Errorf("second: %v %v %v %v", ok, also, cash.Currency(), inner.SecondKind())
	}
	if paid.TipKind() != ledger.PaymentKindNONE || paid.OnlyKind() != ledger.OnlyKindNONE {
		t.Error("a union that was not given is there")
	}
	if _, ok := paid.TipCash(); ok {
		t.Error("a tip that was not given")
	}
	if s := ledger.PaymentKind(9).String(); s != "Payment(9)" {
		t.Errorf("a kind without a name is %q", s)
	}
	// A nil member is none.
	none, _ := ledger.AsPaid(read(t, ledger.NewPaid(&visa, visa, ledger.PaidFields{Tip: (*ledger.Cash)(nil), Only: &ledger.Cash{}})))
	if none.TipKind() != ledger.PaymentKindNONE || none.OnlyKind() != ledger.OnlyKindCash {
		t.Errorf("tip %v, only %v", none.TipKind(), none.OnlyKind())
	}
}

func TestRequiredUnion(t *testing.T) {
	defer func() {
		if said, _ := recover().(string); !strings.Contains(said, "payment is required") {
			t.Errorf("without a payment: %q", said)
		}
	}()
	ledger.NewPaid(nil, visa, ledger.PaidFields{})
}

func TestNestedBuffers(t *testing.T) {
	p := ledger.NewPaid(&visa, visa, ledger.PaidFields{Receipt: &ledger.Split{Second: &ledger.Cash{Currency: "CHF"}}})
	paid, _ := ledger.AsPaid(read(t, p))
	receipt, ok := paid.Receipt()
	cash, also := receipt.SecondCash()
	if !ok || !also || cash.Currency() != "CHF" {
		t.Errorf("receipt: %v %v %q", ok, also, cash.Currency())
	}
	if slip := paid.Slip(); slip.Number() != "4711" {
		t.Errorf("slip: %q", slip.Number())
	}
	if b := paid.SlipBytes(); len(b) == 0 || cap(b) != len(b) {
		t.Errorf("slip has %d bytes of capacity %d", len(b), cap(b))
	}
	without, _ := ledger.AsPaid(read(t, ledger.NewPaid(&visa, visa, ledger.PaidFields{})))
	if _, ok := without.Receipt(); ok || without.ReceiptBytes() != nil {
		t.Error("a receipt that was not given")
	}
}

func TestConstructorsAllocateTheRecordOnly(t *testing.T) {
	fields := ledger.PaidFields{Receipt: &ledger.Split{First: &visa}, Tip: &visa}
	if n := testing.AllocsPerRun(200, func() { ledger.NewPaid(&ledger.Split{First: &visa}, visa, fields) }); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	paid, _ := ledger.AsPaid(read(t, ledger.NewPaid(&ledger.Split{First: &visa}, visa, fields)))
	length := 0
	if n := testing.AllocsPerRun(200, func() {
		split, _ := paid.PaymentSplit()
		card, _ := split.FirstCard()
		receipt, _ := paid.Receipt()
		first, _ := receipt.FirstCard()
		length += len(card.Number()) + len(first.Number())
	}); n > 0 || length == 0 {
		t.Errorf("reading: %v allocations, want none", n)
	}
}

func TestTypesOfIncludedFiles(t *testing.T) {
	coins := []ledger.Coin{{Cents: 50, Currency: ledger.CurrencyEUR}, {Cents: 20, Currency: ledger.CurrencyCHF}}
	filled, ok := ledger.AsFilled(read(t, ledger.NewFilled(ledger.FilledFields{Currency: ledger.CurrencyEUR, Coins: coins})))
	if got := slices.Collect(filled.Coins()); !ok || !slices.Equal(got, coins) || filled.Currency().String() != "EUR" {
		t.Errorf("read %v of %v", got, filled.Currency())
	}
}

type clerk struct{}

func (clerk) DecideIssue(s *ledger.Invoice, c ledger.Issue, out *ledger.InvoiceDecision) error {
	return out.Issued(ledger.IssuedFields{Total: c.Total()})
}

func (clerk) DecidePay(s *ledger.Invoice, c ledger.Pay, out *ledger.InvoiceDecision) error {
	card, ok := c.PaymentCard()
	if !ok {
		return aggregate.Reject("no_cash", "pay by card")
	}
	_, other, err := out.Other("2")
	if err != nil {
		return err
	}
	if err := other.Issued(ledger.IssuedFields{Total: 1}); err != nil {
		return err
	}
	return out.Paid(&ledger.Card{Number: card.Number()}, visa, ledger.PaidFields{})
}

func (clerk) EvolveIssued(s *ledger.Invoice, e ledger.Issued) { s.Total = e.Total() }

func (clerk) EvolvePaid(s *ledger.Invoice, e ledger.Paid) {
	if card, ok := e.PaymentCard(); ok {
		s.Paid = &ledger.Card{Number: strings.Clone(card.Number())}
	}
}

type cashier struct{}

func (cashier) DecideFill(s *ledger.Till, c ledger.Fill, out *ledger.TillDecision) error {
	return out.Filled(ledger.FilledFields{Amount: c.Amount()})
}

func (cashier) EvolveFilled(s *ledger.Till, e ledger.Filled) { s.Content += e.Amount() }

func TestSeveralAggregates(t *testing.T) {
	ctx := context.Background()
	log, err := memstore.New(ledger.Schema)
	if err != nil {
		t.Fatal(err)
	}
	invoices := ledger.NewInvoiceHandler(log, clerk{}, aggregate.Options{})
	tills := ledger.NewTillHandler(log, cashier{}, aggregate.Options{})
	for _, do := range []func() (aggregate.Receipt, error){
		func() (aggregate.Receipt, error) { return invoices.Issue(ctx, "1", ledger.IssueFields{Total: 5}) },
		func() (aggregate.Receipt, error) { return tills.Fill(ctx, "1", ledger.FillFields{Amount: 7}) },
		func() (aggregate.Receipt, error) { return invoices.Pay(ctx, "1", ledger.PayFields{Payment: &visa}) },
	} {
		if _, err := do(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = invoices.Pay(ctx, "1", ledger.PayFields{Payment: &ledger.Cash{}})
	if rejected := (*aggregate.RejectedError)(nil); !errors.As(err, &rejected) {
		t.Errorf("cash: %v", err)
	}
	invoice, version, err := invoices.Load(ctx, "1")
	if card, ok := invoice.Paid.(*ledger.Card); err != nil || version != 2 || invoice.Total != 5 || !ok || card.Number != "4711" {
		t.Errorf("invoice %+v, version %d, %v", invoice, version, err)
	}
	till, _, err := tills.Load(ctx, "1")
	if err != nil || till.Content != 7 {
		t.Errorf("till %+v, %v", till, err)
	}
	if ledger.InvoiceCategory != "invoice" || ledger.TillCategory != "till" || ledger.PaidTopic != "es.event.shop.ledger.settled" || ledger.PaidType != "shop.ledger.Paid" {
		t.Error("names on the wire")
	}
	if got := tills.Commands(); !slices.Equal(got, []string{ledger.FillType}) {
		t.Errorf("the till's commands: %q", got)
	}
	if _, err := tills.Handle(ctx, "1", ledger.PayType, nil); err == nil {
		t.Error("a till handles an invoice's command")
	}
}
