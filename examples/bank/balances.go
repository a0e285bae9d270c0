package bank

import (
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
)

// Balances keeps one row per open account.
type Balances struct{}

var _ accountview.BalancesProjector = Balances{}

// OnOpened adds the account's row.
func (Balances) OnOpened(tx accountview.BalancesTx, at event.Event, e account.Opened) error {
	return tx.Put(accountview.Balance{Account: at.StreamID(), Owner: e.Owner()})
}

// OnCredited raises the balance.
func (Balances) OnCredited(tx accountview.BalancesTx, at event.Event, e account.Credited) error {
	return add(tx, at, e.Amount())
}

// OnDebited lowers the balance.
func (Balances) OnDebited(tx accountview.BalancesTx, at event.Event, e account.Debited) error {
	return add(tx, at, -e.Amount())
}

// OnSent lowers the balance of the paying account.
func (Balances) OnSent(tx accountview.BalancesTx, at event.Event, e account.Sent) error {
	return add(tx, at, -e.Amount())
}

// OnReceived raises the balance of the receiving account.
func (Balances) OnReceived(tx accountview.BalancesTx, at event.Event, e account.Received) error {
	return add(tx, at, e.Amount())
}

// OnClosed removes the account's row.
func (Balances) OnClosed(tx accountview.BalancesTx, at event.Event, _ account.Closed) error {
	return tx.Delete(at.StreamID())
}

func add(tx accountview.BalancesTx, at event.Event, amount int64) error {
	return tx.Update(at.StreamID(), func(row *accountview.Balance) { row.Balance += amount })
}
