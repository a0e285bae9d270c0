package wampbus_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// version returns another version of the bank's schema.
func version(t *testing.T, name string) []byte {
	t.Helper()
	bfbs, err := os.ReadFile(filepath.Join("../eventstore/testdata/bank", name))
	if err != nil {
		t.Fatal(err)
	}
	return bfbs
}

func administrated(o *wampbus.Options) { o.Anonymous |= wampbus.Admin }

func TestRegisterSchema(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			h := open(t, administrated)
			w, listener := h.join(t, f), h.join(t, f)
			listener.subscribe("es.schema")
			for range 2 { // the second time it is known
				r := w.result("es.schema.register", wamp.List{version(t, "later.bfbs")}, nil)
				sameFacts(t, "registered", r.ArgumentsKw, wamp.Dict{"registered": true, "findings": []any{}})
			}
			now := fingerprintOf(t, h, "bank.account.Yielded")
			announced := map[string]bool{}
			for range 14 { // that is all there is in it
				e, ok := listener.receive().(*wamp.Event)
				if !ok || e.ArgumentsKw["fingerprint"] != now || len(e.Arguments) > 0 || len(e.ArgumentsKw) != 2 {
					t.Fatalf("got %#v, want one type of %s", e, now)
				}
				announced[e.ArgumentsKw["type"].(string)] = true
			}
			for _, typ := range []string{account.OpenedType, "bank.account.Yielded", account.OpenType, "bank.account.Balance", "bank.account.Account"} {
				if !announced[typ] {
					t.Errorf("%s was not announced, only %v", typ, announced)
				}
			}
			bfbs := w.result("es.schema", nil, wamp.Dict{"type": "bank.account.Yielded"}).Arguments[0].([]byte)
			if string(bfbs) != string(version(t, "later.bfbs")) {
				t.Error("what is served is not what was registered")
			}
		})
	}
}

func TestRegisterSchemaThatBreaks(t *testing.T) {
	t.Parallel()
	h := open(t, administrated)
	w := h.join(t, codec.MessagePack)
	before := fingerprintOf(t, h, account.CreditedType)
	r := w.result("es.schema.register", wamp.List{version(t, "broken.bfbs")}, nil)
	if r.ArgumentsKw["registered"] != false {
		t.Errorf("got %v", r.ArgumentsKw)
	}
	want, err := compat.Check(account.Schema[0].BFBS, version(t, "broken.bfbs"), compat.FullTransitive)
	if err != nil {
		t.Fatal(err)
	}
	findings, _ := r.ArgumentsKw["findings"].([]any)
	if len(findings) != len(want) || len(want) < 3 {
		t.Fatalf("%d findings, want %d", len(findings), len(want))
	}
	for i, f := range want {
		sameFacts(t, f.Location, wamp.Dict(findings[i].(map[string]any)), wamp.Dict{
			"rule": string(f.Rule), "location": f.Location, "reason": f.Reason, "breaks": f.Breaks.String(),
		})
	}
	if fingerprintOf(t, h, account.CreditedType) != before {
		t.Error("it was registered")
	}
}

// The topic tells of schemas that were registered past the bus, too.
func TestSchemaRegisteredElsewhere(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.CBOR)
	w.subscribe("es.schema")
	if _, err := h.store.Register(deadline(t), version(t, "later.bfbs")); err != nil {
		t.Fatal(err)
	}
	e, ok := w.receive().(*wamp.Event)
	if !ok || e.ArgumentsKw["fingerprint"] != fingerprintOf(t, h, "bank.account.Yielded") {
		t.Errorf("got %#v", e)
	}
}

func TestRegisterSchemaBadInput(t *testing.T) {
	t.Parallel()
	h := open(t, administrated)
	later := version(t, "later.bfbs")
	rival, err := os.ReadFile("../schema/testdata/rival.bfbs")
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := os.ReadFile("../schema/testdata/wrong.bfbs")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   wamp.List
		kwargs wamp.Dict
		uri    wamp.URI
		facts  wamp.Dict
	}{
		"nothing":      {nil, nil, wamp.ErrInvalidArgument, wamp.Dict{"argument": "bfbs"}},
		"no binary":    {wamp.List{"bank.fbs"}, nil, wamp.ErrInvalidArgument, wamp.Dict{"argument": "bfbs"}},
		"two":          {wamp.List{later, later}, nil, wamp.ErrInvalidArgument, wamp.Dict{"argument": "args"}},
		"unknown":      {wamp.List{later}, wamp.Dict{"force": true}, wamp.ErrInvalidArgument, wamp.Dict{"argument": "force"}},
		"empty":        {wamp.List{[]byte{}}, nil, "es.error.invalid_data", wamp.Dict{"type": "reflection.Schema"}},
		"no schema":    {wamp.List{account.NewOpen("ada")}, nil, "es.error.invalid_data", wamp.Dict{"type": "reflection.Schema"}},
		"half":         {wamp.List{later[:len(later)/2]}, nil, "es.error.invalid_data", wamp.Dict{"type": "reflection.Schema"}},
		"no sense":     {wamp.List{wrong}, nil, "es.error.invalid_data", wamp.Dict{"type": "reflection.Schema"}},
		"too large":    {wamp.List{make([]byte, verify.MaxBFBS+1)}, nil, "es.error.too_large", wamp.Dict{"bound": "max_bfbs", "limit": int64(verify.MaxBFBS), "actual": int64(verify.MaxBFBS + 1)}},
		"topic of two": {wamp.List{rival}, nil, wamp.ErrInvalidArgument, wamp.Dict{"argument": "bfbs"}},
	} {
		w := h.join(t, codec.MessagePack)
		e, ok := w.call("es.schema.register", c.args, c.kwargs).(*wamp.Error)
		if !ok || e.Error != c.uri {
			t.Errorf("%s: %s", name, describe(e))
			continue
		}
		for fact, want := range c.facts {
			if e.ArgumentsKw[fact] != want {
				t.Errorf("%s: %s is %v, want %v", name, fact, e.ArgumentsKw[fact], want)
			}
		}
	}
	if n := len(h.store.Schemas().Schemas()); n != 1 {
		t.Errorf("%d schemas are registered, want the first only", n)
	}
	h.alive(t)
}

// Bytes of every kind are refused or taken; the bus lives.
func TestRegisterSchemaMutants(t *testing.T) {
	t.Parallel()
	h := open(t, administrated)
	w := h.join(t, codec.MessagePack)
	later := version(t, "later.bfbs")
	for i := 0; i < len(later); i += 17 {
		mutant := append([]byte(nil), later...)
		mutant[i] ^= 0x55
		switch m := w.call("es.schema.register", wamp.List{mutant}, nil).(type) {
		case *wamp.Result:
		case *wamp.Error:
			if m.Error != "es.error.invalid_data" && m.Error != wamp.ErrInvalidArgument {
				t.Errorf("byte %d: %s", i, describe(m))
			}
		default:
			t.Fatalf("byte %d: %#v", i, m)
		}
	}
	h.alive(t)
}

// withoutRegister is a log that takes no schemas.
type withoutRegister struct{ event.Log }

func TestRegisterSchemaWhereNoneIsTaken(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	w := openOn(t, store, withoutRegister{store}, administrated).join(t, codec.JSON)
	e, ok := w.call("es.schema.register", wamp.List{version(t, "later.bfbs")}, nil).(*wamp.Error)
	if !ok || e.Error != "es.error.unavailable" {
		t.Errorf("got %s", describe(e))
	}
}

// subscribe subscribes to one topic.
func (w *wire) subscribe(topic wamp.URI) {
	w.t.Helper()
	w.id++
	w.send(&wamp.Subscribe{Request: w.id, Options: wamp.Dict{}, Topic: topic})
	if m, ok := w.receive().(*wamp.Subscribed); !ok {
		w.t.Fatalf("subscribe to %s: %#v", topic, m)
	}
}
