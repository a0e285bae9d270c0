package account_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
)

// What the constructors build is what the store's verifier accepts, under the
// fingerprint that they put on it.
func TestConstructorsAgreeWithTheSchema(t *testing.T) {
	t.Parallel()
	set, err := schema.Load(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []event.Proposed{
		account.NewOpened("ada"),
		account.NewCredited(account.CreditedFields{Amount: 5, Memo: "wages"}),
		account.NewDebited(account.DebitedFields{Amount: 5}),
		account.NewClosed(),
		account.NewSent("2", account.SentFields{Amount: 5}),
		account.NewReceived("1", account.ReceivedFields{Amount: 5}),
	} {
		if err := set.Verify(p.Type, p.Schema, p.Data); err != nil {
			t.Error(err)
		}
		if _, fingerprint, ok := set.Lookup(p.Type); !ok || fingerprint != p.Schema {
			t.Errorf("%s is built for schema %x, the embedded one is %x", p.Type, p.Schema, fingerprint)
		}
	}
	for typ, data := range map[string][]byte{
		account.OpenType:     account.NewOpen("ada"),
		account.CreditType:   account.NewCredit(account.CreditFields{Amount: 5}),
		account.DebitType:    account.NewDebit(account.DebitFields{Amount: 5}),
		account.CloseType:    account.NewClose(),
		account.TransferType: account.NewTransfer("2", account.TransferFields{Amount: 5}),
	} {
		if err := set.Verify(typ, 0, data); err != nil {
			t.Error(err)
		}
	}
}
