package wampbus_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// handle serves a procedure that must be acceptable.
func (h *house) handle(t *testing.T, uri string, p wampbus.Procedure) (end func()) {
	t.Helper()
	stop, err := h.bus.Handle(uri, p)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// A program's own procedure gets verified arguments, and answers with stored
// records as they are, small and large, in every format; while clients are
// connected it comes and goes.
func TestHandle(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			w := h.join(t, f)
			if m, ok := w.call("bank.statement", nil, nil).(*wamp.Error); !ok || m.Error != wamp.ErrNotAuthorized {
				t.Errorf("before there is one: %#v", m)
			}
			h.deposit(t, "1", 300)
			transfer := account.NewTransfer("2", account.TransferFields{Amount: 7})
			end := h.handle(t, "bank.statement", wampbus.Procedure{
				Role: wampbus.Reader, Args: []string{account.TransferType},
				Serve: func(ctx context.Context, r *wampbus.Request) (wampbus.Reply, error) {
					if !bytes.Equal(r.Args[0], transfer) || r.Keywords["year"] != int64(2026) || r.AuthID != "" || !r.Roles.Has(wampbus.Commander) {
						t.Errorf("the request is %+v", r)
					}
					page, err := h.store.ReadPage(ctx, event.Selection{Stream: "account-1"}, event.PageOptions{})
					return wampbus.Reply{Args: [][]byte{page.Records}, Keywords: map[string]any{"count": page.Count}}, err
				},
			})
			r := w.result("bank.statement", wamp.List{transfer}, wamp.Dict{"year": 2026})
			var want []byte
			for _, e := range h.events(t) {
				want = append(want, e.Record()...)
			}
			if !bytes.Equal(r.Arguments[0].([]byte), want) || len(want) < codec.Refer || number(t, r.ArgumentsKw["count"]) != 300 {
				t.Errorf("%v events, other bytes than the log's", r.ArgumentsKw["count"])
			}
			for name, args := range map[string]wamp.List{
				"wamp.error.invalid_argument": {}, "es.error.invalid_data": {transfer[:len(transfer)-3]}, "wamp.error.invalid_argument ": {transfer, transfer}, "wamp.error.invalid_argument  ": {"text"},
			} {
				m, ok := w.call("bank.statement", args, nil).(*wamp.Error)
				if !ok || string(m.Error) != string(bytes.TrimSpace([]byte(name))) {
					t.Errorf("%v: %s", name, describe(m))
				}
			}
			end()
			end()
			if m, ok := w.call("bank.statement", wamp.List{transfer}, nil).(*wamp.Error); !ok || m.Error != wamp.ErrNotAuthorized {
				t.Errorf("after its end: %#v", m)
			}
			h.handle(t, "bank.statement", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
				return wampbus.Reply{}, nil
			}})
			if r := w.result("bank.statement", nil, nil); len(r.Arguments) != 0 {
				t.Errorf("another one under its name answers %v", r.Arguments)
			}
		})
	}
}

// What a program's procedure fails with reaches the caller as far as it is meant
// for one; a panic ends the call only; roles hold.
func TestHandleErrors(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Anonymous = wampbus.Reader })
	fails := make(chan func() error, 1)
	serve := func(context.Context, *wampbus.Request) (wampbus.Reply, error) { return wampbus.Reply{}, (<-fails)() }
	h.handle(t, "bank.fail", wampbus.Procedure{Role: wampbus.Reader, Serve: serve})
	h.handle(t, "bank.write", wampbus.Procedure{Role: wampbus.Writer, Serve: serve})
	w := h.join(t, codec.JSON)
	if m, ok := w.call("bank.write", nil, nil).(*wamp.Error); !ok || m.Error != wamp.ErrNotAuthorized {
		t.Errorf("a reader writes: %#v", m)
	}
	for want, f := range map[string]func() error{
		"es.error.internal":  func() error { return errors.New("the password is 1234") },
		"es.error.internal ": func() error { panic("the password is 1234") },
		"bank.error.closed": func() error {
			return &wampbus.ProcedureError{URI: "bank.error.closed", Message: "closed", Keywords: map[string]any{"day": "sunday"}}
		},
		"es.error.internal  ":  func() error { return &wampbus.ProcedureError{URI: "Not A URI", Message: "the password is 1234"} },
		"es.error.unavailable": func() error { return &event.UnavailableError{Message: "later"} },
	} {
		fails <- f
		m, ok := w.call("bank.fail", nil, nil).(*wamp.Error)
		if !ok || string(m.Error) != string(bytes.TrimSpace([]byte(want))) || bytes.Contains([]byte(describe(m)), []byte("1234")) {
			t.Errorf("%s: %s", want, describe(m))
		}
		if want == "bank.error.closed" && (m.ArgumentsKw["day"] != "sunday" || m.Arguments[0] != "closed") {
			t.Errorf("%s: %s", want, describe(m))
		}
	}
	h.handle(t, "bank.odd", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
		return wampbus.Reply{Keywords: map[string]any{"channel": make(chan int)}}, nil
	}})
	if m, ok := w.call("bank.odd", nil, nil).(*wamp.Error); !ok || m.Error != "es.error.internal" {
		t.Errorf("an answer that can't be sent: %#v", m)
	}
	h.handle(t, "bank.oddly", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
		return wampbus.Reply{}, &wampbus.ProcedureError{URI: "bank.error.odd", Keywords: map[string]any{"channel": make(chan int)}}
	}})
	if m, ok := w.call("bank.oddly", nil, nil).(*wamp.Error); !ok || m.Error != "es.error.internal" {
		t.Errorf("an error that can't be sent: %#v", m)
	}
	w.result("es.head", nil, nil)
	eventually(t, "all calls have ended", func() bool { return h.bus.Stats().CallsInFlight == 0 })
	if s := h.bus.Stats(); s.Calls[wampbus.Call{Procedure: "bank.fail", Outcome: "es.error.internal"}] != 3 {
		t.Errorf("stats %+v", s)
	}
}

// No more calls of a procedure run at once than it allows; others wait, and may
// be canceled.
func TestHandleConcurrency(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	running, release := make(chan struct{}, 10), make(chan struct{})
	h.handle(t, "bank.slow", wampbus.Procedure{Role: wampbus.Reader, Concurrency: 2, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) {
		running <- struct{}{}
		<-release
		return wampbus.Reply{}, nil
	}})
	w := h.join(t, codec.CBOR)
	for id := wamp.ID(1); id <= 4; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "bank.slow"})
	}
	<-running
	<-running
	w.id = 10
	w.result("es.head", nil, nil) // is answered meanwhile
	if n := len(running); n != 0 {
		t.Errorf("%d more run", n)
	}
	close(release)
	for range 4 {
		if m, ok := w.receive().(*wamp.Result); !ok {
			t.Errorf("got %#v", m)
		}
	}
}

func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	good := wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) { return wampbus.Reply{}, nil }}
	for _, uri := range []string{"", "es", "es.read", "es.mine", "wamp.session.kill", "wamp", "Bank.statement", "bank..x", "bank.", "bank statement", ".es.x"} {
		if _, err := h.bus.Handle(uri, good); err == nil {
			t.Errorf("%q was accepted", uri)
		}
	}
	for name, change := range map[string]func(*wampbus.Procedure){
		"no role":     func(p *wampbus.Procedure) { p.Role = 0 },
		"two roles":   func(p *wampbus.Procedure) { p.Role = wampbus.Reader | wampbus.Admin },
		"no function": func(p *wampbus.Procedure) { p.Serve = nil },
		"type":        func(p *wampbus.Procedure) { p.Args = []string{"bank.account.Nothing"} },
		"concurrency": func(p *wampbus.Procedure) { p.Concurrency = -1 },
	} {
		p := good
		change(&p)
		if _, err := h.bus.Handle("bank.x", p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	h.handle(t, "bank.x", good)
	if _, err := h.bus.Handle("bank.x", good); err == nil {
		t.Error("two procedures have one name")
	}
	if err := h.bus.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.bus.Handle("bank.y", good); !errors.Is(err, wampbus.ErrClosed) {
		t.Errorf("a closed bus: %v", err)
	}
}
