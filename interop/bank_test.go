package interop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
)

// served is the bank on a bus of its own, on a free port of the loopback
// interface. When the test ends it is closed and its store verified.
type served struct {
	t        *testing.T
	store    *eventstore.Store
	accounts *account.Handler
	views    *projection.Engine
	bus      *wampbus.Bus
	url      string // of WebSocket
	raw      string // of RawSocket: host and port
}

func serve(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	store, err := eventstore.Open(filepath.Join(dir, "store"), eventstore.Options{Schemas: account.Schema, MapSize: 1 << 30})
	must(t, err)
	t.Cleanup(func() {
		report, err := store.Verify(context.Background())
		if err != nil || report.Found > 0 {
			t.Errorf("the store after the test: %+v, error %v", report, err)
		}
		must(t, store.Close())
	})
	views, err := projection.Open(filepath.Join(dir, "views"), store, projection.Options{}, accountview.Balances(bank.Balances{}))
	must(t, err)
	t.Cleanup(func() { must(t, views.Close()) })
	accounts := account.NewHandler(store, bank.Teller{}, aggregate.Options{})
	bus, err := wampbus.New(wampbus.Options{
		Log:       store,
		Schemas:   store.Schemas(),
		Views:     views,
		Handlers:  []wampbus.CommandHandler{accounts},
		Anonymous: wampbus.Writer | wampbus.Commander,
	})
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	stopped := make(chan error, 2)
	go func() { stopped <- bus.ServeWebSocket(context.Background(), listener) }()
	go func() { stopped <- bus.ServeRawSocket(context.Background(), raw) }()
	t.Cleanup(func() {
		must(t, bus.Close())
		must(t, <-stopped)
		must(t, <-stopped)
	})
	return &served{t: t, store: store, accounts: accounts, views: views, bus: bus, url: "ws://" + listener.Addr().String(), raw: raw.Addr().String()}
}

// open opens accounts and pays money in: two events each.
func (s *served) open(prefix string, count int) {
	s.t.Helper()
	for i := range count {
		id := prefix + strconv.Itoa(i)
		_, err := s.accounts.Open(s.t.Context(), id, "Åse "+id)
		must(s.t, err)
		_, err = s.accounts.Credit(s.t.Context(), id, account.CreditFields{Amount: int64(i) + 1, Memo: "from Go"})
		must(s.t, err)
	}
}

func (s *served) head() uint64 {
	s.t.Helper()
	head, err := s.store.Head(s.t.Context())
	must(s.t, err)
	return head.Position
}

// digest is the SHA-256 over the log's records behind a position, in order.
func (s *served) digest(after uint64) (sum string, count int) {
	s.t.Helper()
	hash := sha256.New()
	for e, err := range s.store.Read(s.t.Context(), event.Selection{After: after}) {
		must(s.t, err)
		hash.Write(e.Record())
		count++
	}
	return hex.EncodeToString(hash.Sum(nil)), count
}

// row is an account's row as it is stored, once the views have the position.
func (s *served) row(id string, position uint64) (row []byte) {
	s.t.Helper()
	must(s.t, s.views.At(s.t.Context(), position, func(snapshot *projection.Snapshot) error {
		found, ok, err := accountview.BalancesIn(snapshot).Get(id)
		if ok {
			row = append(row, found.Bytes()...)
		}
		return err
	}))
	return row
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
