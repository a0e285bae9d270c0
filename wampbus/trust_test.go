package wampbus_test

import (
	"errors"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Nobody behind the bus is trusted with data, whatever they say.
func TestTrustDataIsNotForRemoteProducers(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	wrong := []byte("this is not a FlatBuffer")
	_, err := h.dial(t, client.Options{}).Append(deadline(t), event.Append{
		Stream: "account-1", TrustData: true,
		Events: []event.Proposed{{Type: account.CreditedType, Data: wrong}},
	})
	if !errors.As(err, new(*event.InvalidDataError)) {
		t.Errorf("an append of the Go client: %v", err)
	}
	for _, f := range codec.Formats {
		w := h.join(t, f)
		for _, name := range []string{"TrustData", "trust_data", "trustdata", "trust"} {
			refused, ok := w.call("es.append",
				wamp.List{wamp.List{account.CreditedType, wrong}},
				wamp.Dict{"stream": "account-1", name: true}).(*wamp.Error)
			if !ok || refused.Error != wamp.ErrInvalidArgument {
				t.Errorf("%v, argument %s: %v", f, name, refused)
			}
			refused, ok = w.call("es.append",
				wamp.List{wamp.List{account.CreditedType, wrong, wamp.Dict{name: true}}},
				wamp.Dict{"stream": "account-1"}).(*wamp.Error)
			if !ok || refused.Error != wamp.ErrInvalidArgument {
				t.Errorf("%v, option %s: %v", f, name, refused)
			}
		}
	}
	if events := h.events(t); len(events) != 0 {
		t.Errorf("%d events are there", len(events))
	}
}
