package wampbus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// A refusal says who was refused, and what it takes; of a program's procedures
// it does not say whether there are any.
func TestRefusalsSayWhatItTakes(t *testing.T) {
	t.Parallel()
	file := userFile(t, [4]string{"rita", "reader,commander", users.Ticket, "r"})
	h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = wampbus.Reader, file })
	end := h.handle(t, "bank.secret", wampbus.Procedure{Role: wampbus.Admin, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
		return wampbus.Reply{}, nil
	}})
	defer end()
	for _, f := range codec.Formats {
		w := h.join(t, f)
		for procedure, want := range map[string]string{
			"es.append":               "es.append takes the role writer: an anonymous client has the role reader here [writer]",
			"es.key":                  "es.key takes the role writer or commander: an anonymous client has the role reader here [writer commander]",
			"es.command.account.open": "es.command.account.open takes the role commander: an anonymous client has the role reader here [commander]",
			"bank.secret":             "this procedure is not for every role: an anonymous client has the role reader here []",
			"bank.nothing":            "this procedure is not for every role: an anonymous client has the role reader here []",
			"wamp.session.kill":       "this procedure is not for every role: an anonymous client has the role reader here []",
		} {
			m, ok := w.call(procedure, nil, nil).(*wamp.Error)
			if !ok || m.Error != wamp.ErrNotAuthorized || len(m.Arguments) != 1 {
				t.Fatalf("%v, %s: %#v", f, procedure, m)
			}
			needed, _ := wamp.AsList(m.ArgumentsKw["needed"])
			if got := fmt.Sprint(m.Arguments[0], " ", needed); got != want {
				t.Errorf("%v, %s: %s", f, procedure, got)
			}
		}
	}
	rita := h.dial(t, client.Options{AuthID: "rita", Credentials: ticket("r")})
	_, err := rita.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("x")}})
	if err == nil || !strings.Contains(err.Error(), `es.append takes the role writer: "rita" has the roles reader and commander here`) {
		t.Errorf("rita: %v", err)
	}
}
