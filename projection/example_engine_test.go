package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
)

// threeAccounts is a log with the accounts "1" of ada, "2" of bob and "3" of
// cleo, and 10, 20 and 30 on them, and an engine on it.
func threeAccounts(defs ...projection.Definition) (views *projection.Engine, dir string) {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		log.Fatal(err)
	}
	store, err := memstore.New(account.Schema)
	if err != nil {
		log.Fatal(err)
	}
	for i, owner := range []string{"ada", "bob", "cleo"} {
		_, err := store.Append(context.Background(), event.Append{Stream: fmt.Sprintf("account-%d", i+1), Events: []event.Proposed{
			account.NewOpened(owner), account.NewCredited(account.CreditedFields{Amount: int64(10 * (i + 1))}),
		}})
		if err != nil {
			log.Fatal(err)
		}
	}
	views, err = projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, defs...)
	if err != nil {
		log.Fatal(err)
	}
	return views, dir
}

// threeAccountsEnd is the last position of that log.
const threeAccountsEnd = 6

// balances runs fn with the rows of the three accounts.
func balances(fn func(s *projection.Snapshot, rows *projection.View) error) {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.At(context.Background(), threeAccountsEnd, func(s *projection.Snapshot) error {
		rows, err := s.View("balances")
		if err != nil {
			return err
		}
		return fn(s, rows)
	})
	if err != nil {
		log.Fatal(err)
	}
}

// At waits for a position, such as that of a receipt, and shows all live views
// as of one.
func ExampleEngine_At() {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.At(context.Background(), threeAccountsEnd, func(s *projection.Snapshot) error {
		row, found, err := accountview.BalancesIn(s).Get("3")
		fmt.Println(row.Owner(), row.Balance(), found, "at", s.Position())
		return err
	})
	fmt.Println(err)
	// A position that nothing reaches in time:
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var behind *event.BehindError
	err = views.At(ctx, 1000, func(*projection.Snapshot) error { return nil })
	fmt.Println(errors.As(err, &behind), behind.Position)
	// Output:
	// cleo 30 true at 6
	// <nil>
	// true 6
}

// View shows what there is, without waiting.
func ExampleEngine_View() {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.View(func(s *projection.Snapshot) error {
		rows := 0
		for _, err := range accountview.BalancesIn(s).All() {
			if err != nil {
				return err
			}
			rows++
		}
		fmt.Println(rows == int(s.Position()+1)/2) // two events an account
		return nil
	})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// choosy fails on bob until it was repaired.
type choosy struct {
	bank.Balances
	repaired *atomic.Bool
}

func (p choosy) OnOpened(tx accountview.BalancesTx, at event.Event, e account.Opened) error {
	if e.Owner() == "bob" && !p.repaired.Load() {
		return errors.New("bob is not welcome")
	}
	return p.Balances.OnOpened(tx, at, e)
}

// A parked view goes on with the event that its handler failed on.
func ExampleEngine_Resume() {
	var repaired atomic.Bool
	views, dir := threeAccounts(accountview.Balances(choosy{repaired: &repaired}))
	defer os.RemoveAll(dir)
	defer views.Close()
	ctx := context.Background()
	err := views.At(ctx, threeAccountsEnd, func(*projection.Snapshot) error { return nil }, "balances")
	fmt.Println(err)
	fmt.Println(views.Resume(ctx, "balances")) // again
	repaired.Store(true)
	fmt.Println(views.Resume(ctx, "balances"))
	// Output:
	// behind: at position 2: view "balances" is parked at position 3 (bank.account.Opened): bob is not welcome: resume it, skip the event, or rebuild it
	// view "balances": bank.account.Opened at position 3: bob is not welcome
	// <nil>
}

func ExampleEngine_Stats() {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.At(context.Background(), threeAccountsEnd, func(*projection.Snapshot) error { return nil })
	if err != nil {
		log.Fatal(err)
	}
	stats := views.Stats()
	for _, v := range stats.Views {
		fmt.Println(v.Name, v.Version, v.Live, "at", v.Position, "of", stats.Head, "with", v.Rows, "rows")
	}
	// Output: balances 1 true at 6 of 6 with 3 rows
}

func ExampleEngine_Views() {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	for _, v := range views.Views() {
		fmt.Println(v.Name, v.Version, "is a", v.Table, "by", v.Key.Name, v.Key.Kind)
		for _, index := range v.Indexes {
			fmt.Println("index", index.Name)
		}
	}
	// Output:
	// balances 1 is a bank.account.Balance by account string
	// index owner
	// index balance
}

// Check looks for damage in what is stored. Whether rows are what the log makes
// of them, a rebuild and a [projection.Digest] tell.
func ExampleEngine_Check() {
	views, dir := threeAccounts(accountview.Balances(bank.Balances{}))
	defer os.RemoveAll(dir)
	defer views.Close()
	fmt.Println(views.Check(context.Background()))
	// Output: <nil>
}

// twoVersions are the bank's balances and those with a bonus of 10, both live.
func twoVersions() (views *projection.Engine, dir string) {
	candidate := accountview.Balances(bonus{})
	candidate.Version = "2"
	views, dir = threeAccounts(accountview.Balances(bank.Balances{}), candidate)
	err := views.At(context.Background(), threeAccountsEnd, func(*projection.Snapshot) error { return nil }, "balances", "balances@2")
	if err != nil {
		log.Fatal(err)
	}
	return views, dir
}

func ExampleEngine_Compare() {
	views, dir := twoVersions()
	defer os.RemoveAll(dir)
	defer views.Close()
	for d, err := range views.Compare(context.Background(), "balances", "1", "2") {
		if err != nil {
			log.Fatal(err)
		}
		a, b := account.TrustedBalance(d.A), account.TrustedBalance(d.B)
		fmt.Println(d.Key, d.Fields, a.Balance(), b.Balance())
	}
	// Output:
	// "1" [balance] 10 20
	// "2" [balance] 20 30
	// "3" [balance] 30 40
}

func ExampleEngine_Drop() {
	views, dir := twoVersions()
	defer os.RemoveAll(dir)
	defer views.Close()
	ctx := context.Background()
	fmt.Println(views.Drop(ctx, "balances", "1"))
	fmt.Println(views.Drop(ctx, "balances", "2"))
	fmt.Println(views.Drop(ctx, "balances", "2"))
	// Output:
	// view "balances" is read from version "1": switch to another one first
	// <nil>
	// unknown view "balances@2"
}

// A snapshot opens views by name, also a version that is not the one to read.
func ExampleSnapshot_View() {
	views, dir := twoVersions()
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.View(func(s *projection.Snapshot) error {
		for _, name := range []string{"balances", "balances@2"} {
			rows, err := s.View(name)
			if err != nil {
				return err
			}
			row, _, err := rows.Get(projection.StringValue("1"))
			if err != nil {
				return err
			}
			fmt.Println(name, account.TrustedBalance(row).Balance())
		}
		_, err := s.View("loans")
		return err
	})
	fmt.Println(err)
	// Output:
	// balances 10
	// balances@2 20
	// unknown view "loans"
}

// Rows are FlatBuffers that can be sent as they are. The lookups that are
// generated for a view return them typed.
func ExampleView_Get() {
	balances(func(_ *projection.Snapshot, rows *projection.View) error {
		row, found, err := rows.Get(projection.StringValue("2"))
		fmt.Println(account.TrustedBalance(row).Owner(), found, err)
		_, found, err = rows.Get(projection.StringValue("4"))
		fmt.Println(found, err)
		_, _, err = rows.Get(projection.IntValue(4))
		fmt.Println(err)
		return nil
	})
	// Output:
	// bob true <nil>
	// false <nil>
	// argument "primary key": column "account" holds string values, got int 4
}

func ExampleView_Scan() {
	balances(func(_ *projection.Snapshot, rows *projection.View) error {
		from := projection.Range{Index: "balance", From: []projection.Value{projection.IntValue(15)}}
		for row, err := range rows.Scan(from) {
			if err != nil {
				return err
			}
			fmt.Println(account.TrustedBalance(row).Owner())
		}
		return nil
	})
	// Output:
	// bob
	// cleo
}

// Rows yields what Scan does, with a cursor for each row.
func ExampleView_Rows() {
	balances(func(_ *projection.Snapshot, rows *projection.View) error {
		var cursor []byte
		for range 2 {
			for row, err := range rows.Rows(projection.Range{Index: "owner", Limit: 1, Cursor: cursor}) {
				if err != nil {
					return err
				}
				fmt.Println(account.TrustedBalance(row.Bytes()).Owner())
				cursor = row.Cursor()
			}
		}
		return nil
	})
	// Output:
	// ada
	// bob
}

func ExampleView_Len() {
	balances(func(_ *projection.Snapshot, rows *projection.View) error {
		n, err := rows.Len()
		fmt.Println(n, err)
		return err
	})
	// Output: 3 <nil>
}

// Digests of two engines, or of a view and its rebuild, are equal when the rows
// are.
func ExampleView_Digest() {
	digest := func() (d projection.Digest) {
		balances(func(_ *projection.Snapshot, rows *projection.View) (err error) {
			d, err = rows.Digest(context.Background())
			return err
		})
		return d
	}
	a, b := digest(), digest()
	fmt.Println(a == b)
	// Output: true
}

// A definition by hand: how often each owner opened an account.
func ExampleTx() {
	definition := accountview.Balances(nil)
	definition.Types = []string{account.OpenedType}
	definition.Apply = func(tx *projection.Tx, e event.Event) error {
		opened, _ := account.AsOpened(e)
		if opened.Owner() == "bob" {
			return tx.Delete(projection.StringValue("1"))
		}
		_, found, err := tx.Get(projection.StringValue(e.StreamID()))
		if err != nil || found {
			return err
		}
		return accountview.BalancesTx{Tx: tx}.Put(accountview.Balance{Account: e.StreamID(), Owner: opened.Owner()})
	}
	views, dir := threeAccounts(definition)
	defer os.RemoveAll(dir)
	defer views.Close()
	err := views.At(context.Background(), threeAccountsEnd, func(s *projection.Snapshot) error {
		for row, err := range accountview.BalancesIn(s).All() {
			if err != nil {
				return err
			}
			fmt.Println(row.Account(), row.Owner())
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 3 cleo
	// <nil>
}

// directory is what another process sees of two versions.
func directory() (d *projection.Directory, dir string) {
	views, dir := twoVersions()
	if err := views.Close(); err != nil { // as this is one process
		log.Fatal(err)
	}
	d, err := projection.OpenDirectory(dir)
	if err != nil {
		log.Fatal(err)
	}
	return d, dir
}

func ExampleDirectory_List() {
	d, dir := directory()
	defer os.RemoveAll(dir)
	defer d.Close()
	versions, position, head, err := d.List()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("at", position, "of", head)
	for _, v := range versions {
		fmt.Println(v.View, v.Version, v.Status, v.Serving, v.Rows)
	}
	// Output:
	// at 6 of 6
	// balances 1 live true 3
	// balances 2 live false 3
}

func ExampleDirectory_Compare() {
	d, dir := directory()
	defer os.RemoveAll(dir)
	defer d.Close()
	for difference, err := range d.Compare(context.Background(), "balances", "1", "2") {
		fmt.Println(difference.Key, difference.Fields, err)
	}
	// Output:
	// "1" [balance] <nil>
	// "2" [balance] <nil>
	// "3" [balance] <nil>
}

// A request that no engine answers stays, for the next one to open the views.
func ExampleDirectory_Ask() {
	d, dir := directory()
	defer os.RemoveAll(dir)
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := d.Ask(ctx, projection.Ask{Action: "switch", View: "balances", Version: "2"})
	fmt.Println(errors.Is(err, projection.ErrUnanswered))
	// Output: true
}
