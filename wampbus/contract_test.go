package wampbus_test

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// A log over the bus keeps the contract of a log, in every serialization.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			eventstoretest.Run(t, func(t *testing.T) event.Log {
				store, err := memstore.New(eventstoretest.Schema)
				if err != nil {
					t.Fatal(err)
				}
				h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
				return h.dial(t, client.Options{Serialization: f.String()})
			})
		})
	}
}

// It does so on the real store.
func TestContractOnStore(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) event.Log {
		store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
		return h.dial(t, client.Options{})
	})
}

// And over every way to reach the bus that there is.
func TestContractOverRawSocket(t *testing.T) {
	t.Parallel()
	server, trusting := certificates(t)
	for i, scheme := range []string{"rs", "rss", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			eventstoretest.Run(t, func(t *testing.T) event.Log {
				store, err := memstore.New(eventstoretest.Schema)
				if err != nil {
					t.Fatal(err)
				}
				h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
				return h.dialRaw(t, scheme, server, client.Options{TLS: trusting, Serialization: codec.Formats[i].String(), Schemas: store.Schemas()})
			})
		})
	}
}

// dialRaw returns a client that reaches the house by RawSocket.
func (h *house) dialRaw(t *testing.T, scheme string, config *tls.Config, o client.Options) *client.Client {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if scheme == "unix" {
		network, address = "unix", filepath.Join(t.TempDir(), "s")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if scheme == "rss" {
		listener = tls.NewListener(listener, config)
	}
	h.serveRaw(t, listener)
	c, err := client.Dial(deadline(t), scheme+"://"+listener.Addr().String(), h.reading(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// The largest record there is fits every transport's message.
func TestLargestRecordByRawSocket(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Anonymous |= wampbus.Writer })
	c := h.dialRaw(t, "rs", nil, client.Options{})
	large := event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1, Memo: strings.Repeat("x", 14<<20)})}}
	if _, err := c.Append(deadline(t), large); err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Subscribe(deadline(t), event.Selection{}, event.SubscribeOptions{}) {
		if err != nil || len(e.Data()) < 14<<20 {
			t.Errorf("got %v, %v", e, err)
		}
		break
	}
}
