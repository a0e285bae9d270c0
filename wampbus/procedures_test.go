package wampbus_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Every procedure, over every serialization, as PROTOCOL.md has it.
func TestProcedures(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			w := h.join(t, f)
			t.Run("empty log", func(t *testing.T) { emptyLog(t, h, w) })
			t.Run("command", func(t *testing.T) { commands(t, h, w) })
			t.Run("append", func(t *testing.T) { appends(t, h, w) })
			t.Run("read", func(t *testing.T) { reads(t, h, w) })
			t.Run("schemas", func(t *testing.T) { schemas(t, h, w) })
			t.Run("views", func(t *testing.T) { views(t, h, w) })
		})
	}
}

func emptyLog(t *testing.T, h *house, w *wire) {
	store := h.store.StoreID().String()
	info := w.result("es.info", nil, nil)
	want := wamp.Dict{
		"protocol": int64(1), "record_format": int64(1), "flatbuffers": "25.12.19", "store": store,
		"max_record": int64(15 << 20), "max_page": int64(1 << 20), "roles": []any{"reader", "writer", "commander"},
	}
	sameFacts(t, "es.info", info.ArgumentsKw, want)
	head := w.result("es.head", nil, nil)
	sameFacts(t, "es.head", head.ArgumentsKw, wamp.Dict{
		"store": store, "position": int64(0), "first": int64(0), "id": event.ID{}.String(),
	})
	page := w.result("es.read", nil, nil)
	sameFacts(t, "es.read", page.ArgumentsKw, wamp.Dict{"store": store, "count": int64(0), "last": int64(0), "head": int64(0), "more": false})
	if b, ok := page.Arguments[0].([]byte); !ok || len(b) != 0 || len(page.Arguments) != 1 {
		t.Errorf("an empty page is %#v", page.Arguments)
	}
}

func commands(t *testing.T, h *house, w *wire) {
	r := w.result("es.command.account.open", wamp.List{"1", account.NewOpen("ada")}, wamp.Dict{"key": "open-1"})
	sameFacts(t, "open", r.ArgumentsKw, wamp.Dict{"position": int64(1), "version": int64(1), "count": int64(1), "repeated": false})
	r = w.result("es.command.account.open", wamp.List{"1", account.NewOpen("ada")}, wamp.Dict{"key": "open-1"})
	sameFacts(t, "open again", r.ArgumentsKw, wamp.Dict{"position": int64(1), "version": int64(1), "count": int64(1), "repeated": true})
	fingerprint := fingerprintOf(t, h, account.OpenType)
	r = w.result("es.command.account.credit", wamp.List{"1", account.NewCredit(account.CreditFields{Amount: 70})}, wamp.Dict{"expect": 1.0, "schema": fingerprint})
	sameFacts(t, "credit", r.ArgumentsKw, wamp.Dict{"position": int64(2), "version": int64(2), "count": int64(1), "repeated": false})
	w.result("es.command.account.open", wamp.List{"2", account.NewOpen("bob")}, nil)
	r = w.result("es.command.account.transfer", wamp.List{"1", account.NewTransfer("2", account.TransferFields{Amount: 20})}, nil)
	sameFacts(t, "transfer", r.ArgumentsKw, wamp.Dict{"position": int64(5), "version": int64(3), "count": int64(2), "repeated": false})
}

func appends(t *testing.T, h *house, w *wire) {
	credited := account.NewCredited(account.CreditedFields{Amount: 5}).Data
	cause := h.events(t)[0].ID().String()
	r := w.result("es.append", wamp.List{
		[]any{account.CreditedType, credited},
		[]any{account.CreditedType, credited, map[string]any{
			"stream": "account-2", "tags": []any{"batch:7"}, "metadata": map[string]any{"by": "me", "at": "home"},
			"causation": cause, "correlation": cause, "schema": fingerprintOf(t, h, account.CreditedType),
		}},
	}, wamp.Dict{
		"stream": "account-1", "expect": 3.0, "key": "k",
		"conditions": []any{
			map[string]any{"stream": "account-2", "expect": "exists"},
			map[string]any{"stream": "account-9", "expect": "none"},
			map[string]any{"query": []any{map[string]any{"types": []any{"bank.account.Closed"}, "tags": []any{"x:y"}}}, "after": 2},
		},
	})
	events := h.events(t)
	a, b := events[5], events[6]
	sameFacts(t, "es.append", r.ArgumentsKw, wamp.Dict{
		"first": int64(6), "last": int64(7), "ids": []any{a.ID().String(), b.ID().String()}, "repeated": false,
	})
	if b.Stream() != "account-2" || !b.HasTag("batch:7") || b.Causation().String() != cause || b.Correlation().String() != cause || b.BatchKey() != "k" {
		t.Errorf("stored %v with tags %v", b, slices.Collect(b.Tags()))
	}
	var metadata []string
	for k, v := range b.Metadata() {
		metadata = append(metadata, k, v)
	}
	if want := []string{"at", "home", "by", "me"}; !slices.Equal(metadata, want) {
		t.Errorf("metadata %q, want %q", metadata, want)
	}
	r = w.result("es.append", wamp.List{[]any{account.CreditedType, credited}}, wamp.Dict{"stream": "account-1", "expect": "any"})
	sameFacts(t, "single", r.ArgumentsKw, wamp.Dict{
		"first": int64(8), "last": int64(8), "version": int64(5), "ids": []any{h.events(t)[7].ID().String()}, "repeated": false,
	})
}

func reads(t *testing.T, h *house, w *wire) {
	events := h.events(t)
	store := h.store.StoreID().String()
	for name, c := range map[string]struct {
		kwargs wamp.Dict
		want   []event.Event
	}{
		"all":          {nil, events},
		"after":        {wamp.Dict{"after": 3.0}, events[3:]},
		"after_id":     {wamp.Dict{"after_id": events[4].ID().String()}, events[5:]},
		"since":        {wamp.Dict{"since": events[0].Time().Format("2006-01-02T15:04:05.000Z07:00")}, events},
		"from_version": {wamp.Dict{"stream": "account-1", "from_version": 2}, only(events, func(e event.Event) bool { return e.Stream() == "account-1" && e.Version() >= 2 })},
		"category":     {wamp.Dict{"category": "account", "store": store}, events},
		"types":        {wamp.Dict{"types": []any{"bank.account.Opened"}}, only(events, func(e event.Event) bool { return e.Type() == account.OpenedType })},
		"prefix":       {wamp.Dict{"types": []any{"bank."}, "max_bytes": 1 << 30}, events},
		"tags":         {wamp.Dict{"tags": []any{"owner:ada"}}, events[:1]},
		"query":        {wamp.Dict{"query": []any{map[string]any{"tags": []any{"owner:bob"}}, map[string]any{"types": []any{"bank.account.Sent"}}}}, []event.Event{events[2], events[3]}},
		"backward":     {wamp.Dict{"backward": true, "limit": 2}, []event.Event{events[7], events[6]}},
		"null":         {wamp.Dict{"after": nil, "limit": 1}, events[:1]},
	} {
		r := w.result("es.read", nil, c.kwargs)
		var want []byte
		for _, e := range c.want {
			want = append(want, e.Record()...)
		}
		if got := r.Arguments[0].([]byte); !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, want %d of %d events", name, len(got), len(want), len(c.want))
		}
		if got := number(t, r.ArgumentsKw["count"]); got != uint64(len(c.want)) {
			t.Errorf("%s: count %d, want %d", name, got, len(c.want))
		}
	}
	r := w.result("es.read", nil, wamp.Dict{"max_bytes": 1})
	sameFacts(t, "one at a time", r.ArgumentsKw, wamp.Dict{"store": store, "count": int64(1), "last": int64(1), "head": int64(8), "more": true})
}

func only(events []event.Event, keep func(event.Event) bool) []event.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e event.Event) bool { return !keep(e) })
}

func schemas(t *testing.T, h *house, w *wire) {
	list := w.result("es.schemas", nil, nil).Arguments[0].([]any)
	roles := map[string]string{}
	for _, e := range list {
		s := e.(map[string]any)
		roles[s["type"].(string)] = s["role"].(string)
		if s["fingerprint"] != fingerprintOf(t, h, account.OpenedType) {
			t.Errorf("fingerprint %v", s["fingerprint"])
		}
		if s["role"] == "event" && s["aggregate"] != "account" {
			t.Errorf("aggregate of %v is %v", s["type"], s["aggregate"])
		}
	}
	for name, role := range map[string]string{"bank.account.Opened": "event", "bank.account.Open": "command", "bank.account.Account": "aggregate", "bank.account.Balance": "view"} {
		if roles[name] != role {
			t.Errorf("%s is %q, want %q", name, roles[name], role)
		}
	}
	fingerprint := fingerprintOf(t, h, account.OpenedType)
	byType := w.result("es.schema", nil, wamp.Dict{"type": account.OpenedType})
	sameFacts(t, "by type", byType.ArgumentsKw, wamp.Dict{"type": account.OpenedType, "fingerprint": fingerprint})
	byFingerprint := w.result("es.schema", nil, wamp.Dict{"fingerprint": fingerprint})
	for _, r := range []*wamp.Result{byType, byFingerprint} {
		if !bytes.Equal(r.Arguments[0].([]byte), account.Schema[0].BFBS) {
			t.Error("the schema is not what it was generated from")
		}
	}
}

func views(t *testing.T, h *house, w *wire) {
	head := number(t, w.result("es.head", nil, nil).ArgumentsKw["position"])
	r := w.result("es.view.balances.get", wamp.List{"1"}, wamp.Dict{"at_least": head, "wait_ms": 20000})
	ada := r.Arguments[0].([]byte)
	sameFacts(t, "get", r.ArgumentsKw, wamp.Dict{"position": int64(head)})
	bob := w.result("es.view.balances.get", wamp.List{"2"}, nil).Arguments[0].([]byte)
	if r := w.result("es.view.balances.get", wamp.List{"none"}, nil); len(r.Arguments) != 0 {
		t.Errorf("no row is %#v", r.Arguments)
	}
	both := append(bytes.Clone(ada), bob...)
	swapped := append(bytes.Clone(bob), ada...) // by balance: bob has 25, ada 60
	for name, c := range map[string]struct {
		procedure string
		args      wamp.List
		kwargs    wamp.Dict
		want      []byte
		count     int64
	}{
		"list":           {"list", nil, nil, both, 2},
		"backward":       {"list", nil, wamp.Dict{"backward": true}, swapped, 2},
		"from":           {"list", nil, wamp.Dict{"from": "2"}, bob, 1},
		"by_owner":       {"by_owner", wamp.List{"ada"}, nil, ada, 1},
		"by_owner none":  {"by_owner", wamp.List{"eve"}, nil, []byte{}, 0},
		"by_balance":     {"by_balance", nil, nil, swapped, 2},
		"balance text":   {"by_balance", wamp.List{"25"}, nil, bob, 1},
		"balance float":  {"by_balance", wamp.List{25.0}, nil, bob, 1},
		"balance range":  {"by_balance", nil, wamp.Dict{"from": 26, "to": []any{61}}, ada, 1},
		"balance to 60":  {"by_balance", nil, wamp.Dict{"to": 60}, bob, 1},
		"balance extent": {"by_balance", nil, wamp.Dict{"from": "-9223372036854775808", "to": "9223372036854775807"}, swapped, 2},
	} {
		r := w.result("es.view.balances."+c.procedure, c.args, c.kwargs)
		if !bytes.Equal(r.Arguments[0].([]byte), c.want) {
			t.Errorf("%s: got % x, want % x", name, r.Arguments[0], c.want)
		}
		sameFacts(t, name, r.ArgumentsKw, wamp.Dict{"count": c.count, "position": int64(head)})
	}
	var paged []byte
	kwargs := wamp.Dict{"limit": 1}
	for range 2 {
		r := w.result("es.view.balances.by_balance", nil, kwargs)
		paged = append(paged, r.Arguments[0].([]byte)...)
		kwargs["cursor"] = r.ArgumentsKw["cursor"]
	}
	if !bytes.Equal(paged, swapped) || kwargs["cursor"] != nil {
		t.Errorf("paged % x until %v, want % x", paged, kwargs["cursor"], swapped)
	}
}

func fingerprintOf(t *testing.T, h *house, typ string) string {
	t.Helper()
	_, fingerprint, ok := h.store.Schemas().Lookup(typ)
	if !ok {
		t.Fatalf("no schema of %s", typ)
	}
	const digits = "0123456789abcdef"
	out := make([]byte, 16)
	for i := range out {
		out[i] = digits[fingerprint>>(60-4*i)&0xf]
	}
	return string(out)
}

// sameFacts compares all keyword arguments, numbers as numbers.
func sameFacts(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is not in the protocol", what, name)
		}
	}
	for name, w := range want {
		g := got[name]
		if list, ok := w.([]any); ok {
			if other, ok := g.([]any); !ok || !slices.Equal(list, other) {
				t.Errorf("%s: %s is %#v, want %#v", what, name, g, w)
			}
			continue
		}
		if n, ok := codec.Integer(g); ok {
			g = n
		}
		if g != w {
			t.Errorf("%s: %s is %#v, want %#v", what, name, g, w)
		}
	}
}

// any accepts every value in an error's facts.
const anything = "\x00anything"

// Every error of PROTOCOL.md's table, with exactly its keyword arguments.
func TestErrors(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.deposit(t, "1", 3)
	open := account.NewOpen("ada")
	credited := account.NewCredited(account.CreditedFields{Amount: 1}).Data
	event1 := func() wamp.List { return wamp.List{[]any{account.CreditedType, credited}} }
	argument := func(name string) wamp.Dict { return wamp.Dict{"argument": name, "message": anything} }
	w := h.join(t, codec.MessagePack)
	w.result("es.append", event1(), wamp.Dict{"stream": "account-1", "key": "k"})

	for name, c := range map[string]struct {
		procedure string
		args      wamp.List
		kwargs    wamp.Dict
		uri       wamp.URI
		facts     wamp.Dict
	}{
		"conflict version": {"es.append", event1(), wamp.Dict{"stream": "account-1", "expect": 7}, "es.error.conflict",
			wamp.Dict{"condition": int64(0), "stream": "account-1", "expected": int64(7), "actual": int64(4)}},
		"conflict none": {"es.append", event1(), wamp.Dict{"stream": "account-1", "expect": "none"}, "es.error.conflict",
			wamp.Dict{"condition": int64(0), "stream": "account-1", "expected": "none", "actual": int64(4)}},
		"conflict exists": {"es.append", event1(), wamp.Dict{"stream": "account-1", "expect": "any", "conditions": []any{map[string]any{"stream": "account-1", "expect": 4}, map[string]any{"stream": "x-1", "expect": "exists"}}}, "es.error.conflict",
			wamp.Dict{"condition": int64(1), "stream": "x-1", "expected": "exists", "actual": int64(0)}},
		"conflict query": {"es.append", event1(), wamp.Dict{"stream": "account-1", "conditions": []any{map[string]any{"query": []any{map[string]any{"types": []any{"bank."}}}, "after": 1}}}, "es.error.conflict",
			wamp.Dict{"condition": int64(0), "position": anything}},
		"conflict command": {"es.command.account.open", wamp.List{"9", open}, wamp.Dict{"expect": 3}, "es.error.conflict",
			wamp.Dict{"condition": int64(0), "stream": "account-9", "expected": int64(3), "actual": int64(0)}},
		"rejected": {"es.command.account.debit", wamp.List{"9", account.NewDebit(account.DebitFields{Amount: 1})}, nil, "es.error.rejected",
			wamp.Dict{"code": anything, "message": anything}},
		"key reused": {"es.append", event1(), wamp.Dict{"stream": "account-2", "key": "k"}, "es.error.key_reused",
			wamp.Dict{"key": "k", "position": int64(4)}},
		"invalid event": {"es.append", wamp.List{[]any{account.OpenedType, []byte("nonsense")}}, wamp.Dict{"stream": "account-1"}, "es.error.invalid_data",
			wamp.Dict{"type": account.OpenedType, "path": anything, "offset": anything, "message": anything}},
		"invalid command": {"es.command.account.open", wamp.List{"9", []byte{1, 2, 3}}, nil, "es.error.invalid_data",
			wamp.Dict{"type": account.OpenType, "path": anything, "offset": anything, "message": anything}},
		"unknown event":       {"es.append", wamp.List{[]any{"bank.account.Robbed", credited}}, wamp.Dict{"stream": "account-1"}, "es.error.unknown", wamp.Dict{"kind": "event", "name": "bank.account.Robbed"}},
		"unknown command":     {"es.command.account.rob", wamp.List{"9", open}, nil, "es.error.unknown", wamp.Dict{"kind": "command", "name": "account.rob"}},
		"unknown aggregate":   {"es.command.safe.open", wamp.List{"9", open}, nil, "es.error.unknown", wamp.Dict{"kind": "command", "name": "safe.open"}},
		"unknown view":        {"es.view.loans.get", wamp.List{"9"}, nil, "es.error.unknown", wamp.Dict{"kind": "view", "name": "loans"}},
		"unknown index":       {"es.view.balances.by_color", wamp.List{"9"}, nil, "es.error.unknown", wamp.Dict{"kind": "index", "name": "balances.color"}},
		"unknown schema":      {"es.schema", nil, wamp.Dict{"type": "x.Y"}, "es.error.unknown", wamp.Dict{"kind": "schema", "name": "x.Y"}},
		"unknown fingerprint": {"es.schema", nil, wamp.Dict{"fingerprint": "00000000000000ff"}, "es.error.unknown", wamp.Dict{"kind": "schema", "name": "00000000000000ff"}},
		"command schema":      {"es.command.account.open", wamp.List{"9", open}, wamp.Dict{"schema": "00000000000000ff"}, "es.error.unknown", wamp.Dict{"kind": "schema", "name": "00000000000000ff"}},
		"unknown procedure":   {"es.reed", nil, nil, "es.error.unknown", wamp.Dict{"kind": "procedure", "name": "es.reed"}},
		"unknown view verb":   {"es.view.balances.put", nil, nil, "es.error.unknown", wamp.Dict{"kind": "procedure", "name": "es.view.balances.put"}},
		"too large":           {"es.append", event1(), wamp.Dict{"stream": string(make([]byte, 300))}, "es.error.too_large", wamp.Dict{"bound": anything, "limit": int64(255), "actual": int64(300)}},
		"behind":              {"es.view.balances.list", nil, wamp.Dict{"at_least": 1000, "wait_ms": 1}, "es.error.behind", wamp.Dict{"position": anything, "message": anything}},
		"store changed":       {"es.read", nil, wamp.Dict{"store": event.ID{1}.String()}, "es.error.store_changed", wamp.Dict{"store": h.store.StoreID().String()}},

		"append store changed": {"es.append", event1(), wamp.Dict{"stream": "account-1", "expect": 7, "store": event.ID{1}.String()}, "es.error.store_changed", wamp.Dict{"store": h.store.StoreID().String()}},
		"append store zero":    {"es.append", event1(), wamp.Dict{"stream": "account-1", "store": event.ID{}.String()}, "wamp.error.invalid_argument", argument("store")},

		"store zero":    {"es.read", nil, wamp.Dict{"store": event.ID{}.String()}, "es.error.store_changed", wamp.Dict{"store": h.store.StoreID().String()}},
		"after_id zero": {"es.read", nil, wamp.Dict{"after_id": event.ID{}.String()}, "wamp.error.invalid_argument", argument("after_id")},
		"since zero":    {"es.read", nil, wamp.Dict{"since": "0001-01-01T00:00:00Z"}, "wamp.error.invalid_argument", argument("since")},

		"argument unknown":     {"es.head", nil, wamp.Dict{"x": 1}, "wamp.error.invalid_argument", argument("x")},
		"argument positional":  {"es.info", wamp.List{1}, nil, "wamp.error.invalid_argument", argument("args")},
		"argument missing":     {"es.command.account.open", wamp.List{"9"}, nil, "wamp.error.invalid_argument", argument("command")},
		"argument id":          {"es.command.account.open", wamp.List{7, open}, nil, "wamp.error.invalid_argument", argument("id")},
		"after negative":       {"es.read", nil, wamp.Dict{"after": -1}, "wamp.error.invalid_argument", argument("after")},
		"after fraction":       {"es.read", nil, wamp.Dict{"after": 1.5}, "wamp.error.invalid_argument", argument("after")},
		"after huge":           {"es.read", nil, wamp.Dict{"after": int64(1 << 53)}, "wamp.error.invalid_argument", argument("after")},
		"after text":           {"es.read", nil, wamp.Dict{"after": "1"}, "wamp.error.invalid_argument", argument("after")},
		"after_id":             {"es.read", nil, wamp.Dict{"after_id": "1"}, "wamp.error.invalid_argument", argument("after_id")},
		"since":                {"es.read", nil, wamp.Dict{"since": "yesterday"}, "wamp.error.invalid_argument", argument("since")},
		"two starts":           {"es.read", nil, wamp.Dict{"after": 0, "since": "2026-01-01T00:00:00Z"}, "wamp.error.invalid_argument", argument("after")},
		"two filters":          {"es.read", nil, wamp.Dict{"stream": "a-1", "category": "a"}, "wamp.error.invalid_argument", argument("query")},
		"types":                {"es.read", nil, wamp.Dict{"types": "x"}, "wamp.error.invalid_argument", argument("types")},
		"types empty":          {"es.read", nil, wamp.Dict{"types": []any{}}, "wamp.error.invalid_argument", argument("types")},
		"types element":        {"es.read", nil, wamp.Dict{"types": []any{1}}, "wamp.error.invalid_argument", argument("types")},
		"tags":                 {"es.read", nil, wamp.Dict{"tags": []any{"untagged"}}, "wamp.error.invalid_argument", argument("tags")},
		"query":                {"es.read", nil, wamp.Dict{"query": []any{map[string]any{"type": []any{"x"}}}}, "wamp.error.invalid_argument", argument("query")},
		"wait":                 {"es.read", nil, wamp.Dict{"wait_ms": 60001}, "wamp.error.invalid_argument", argument("wait_ms")},
		"wait backward":        {"es.read", nil, wamp.Dict{"wait_ms": 1, "backward": true}, "wamp.error.invalid_argument", argument("wait_ms")},
		"backward":             {"es.read", nil, wamp.Dict{"backward": 1}, "wamp.error.invalid_argument", argument("backward")},
		"no events":            {"es.append", nil, wamp.Dict{"stream": "a-1"}, "wamp.error.invalid_argument", argument("events")},
		"no stream":            {"es.append", event1(), nil, "wamp.error.invalid_argument", argument("stream")},
		"event":                {"es.append", wamp.List{"x"}, wamp.Dict{"stream": "a-1"}, "wamp.error.invalid_argument", argument("args[0]")},
		"event data":           {"es.append", wamp.List{[]any{"x.Y", "text"}}, wamp.Dict{"stream": "a-1"}, "wamp.error.invalid_argument", argument("args[0].data")},
		"event option":         {"es.append", append(event1(), []any{account.CreditedType, credited, map[string]any{"tag": []any{"a:b"}}}), wamp.Dict{"stream": "a-1"}, "wamp.error.invalid_argument", argument("args[1].tag")},
		"event of no schema":   {"es.append", wamp.List{[]any{account.CreditedType, credited, map[string]any{"schema": "00000000000000ff"}}}, wamp.Dict{"stream": "a-1"}, "es.error.unknown", wamp.Dict{"kind": "schema", "name": "00000000000000ff of " + account.CreditedType}},
		"event schema":         {"es.append", wamp.List{[]any{account.CreditedType, credited, map[string]any{"schema": "FF"}}}, wamp.Dict{"stream": "a-1"}, "wamp.error.invalid_argument", argument("args[0].schema")},
		"expect":               {"es.append", event1(), wamp.Dict{"stream": "a-1", "expect": "some"}, "wamp.error.invalid_argument", argument("expect")},
		"conditions":           {"es.append", event1(), wamp.Dict{"stream": "a-1", "conditions": []any{map[string]any{"stream": "a-1", "expects": 1}}}, "wamp.error.invalid_argument", argument("conditions[0].expect")},
		"key slash":            {"es.append", event1(), wamp.Dict{"stream": "a-1", "key": "alice/k"}, "wamp.error.invalid_argument", argument("key")},
		"schema both":          {"es.schema", nil, wamp.Dict{"type": "x", "fingerprint": "00000000000000ff"}, "wamp.error.invalid_argument", argument("type")},
		"schema none":          {"es.schema", nil, nil, "wamp.error.invalid_argument", argument("type")},
		"view key kind":        {"es.view.balances.get", wamp.List{7}, nil, "wamp.error.invalid_argument", argument("primary key")},
		"view index kind":      {"es.view.balances.by_balance", wamp.List{"much"}, nil, "wamp.error.invalid_argument", argument("value")},
		"view values":          {"es.view.balances.by_owner", wamp.List{"a", "b"}, nil, "wamp.error.invalid_argument", argument("value")},
		"view value and range": {"es.view.balances.by_owner", wamp.List{"a"}, wamp.Dict{"from": "b"}, "wamp.error.invalid_argument", argument("from")},
		"view cursor":          {"es.view.balances.list", nil, wamp.Dict{"cursor": "####"}, "wamp.error.invalid_argument", argument("cursor")},
		"view other cursor":    {"es.view.balances.list", nil, wamp.Dict{"cursor": "AQAAAAB4"}, "wamp.error.invalid_argument", argument("cursor")},
	} {
		before := h.events(t)
		m := w.call(c.procedure, c.args, c.kwargs)
		e, ok := m.(*wamp.Error)
		if !ok || e.Error != c.uri {
			t.Errorf("%s: got %s, want %s", name, describe(m), c.uri)
			continue
		}
		facts := wamp.Dict{}
		for k, v := range e.ArgumentsKw {
			if c.facts[k] == anything {
				v = anything
			}
			facts[k] = v
		}
		sameFacts(t, name, facts, c.facts)
		if len(e.Arguments) != 1 {
			t.Errorf("%s: %d arguments, want the message for people", name, len(e.Arguments))
		}
		if after := h.events(t); len(after) != len(before) {
			t.Errorf("%s: something was stored", name)
		}
	}
	if got := h.bus.Stats().Calls[wampbus.Call{Procedure: "es.command.", Outcome: "es.error.rejected"}]; got != 1 {
		t.Errorf("%d rejected commands are counted, want 1", got)
	}
}

// The client turns every error back into the one it was.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{Serialization: "cbor"})
	_, err := c.Append(deadline(t), event.Append{
		Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada")},
		Conditions: []event.Condition{event.NoneMatch{Query: event.Query{{Tags: []string{"owner:ada"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Append(deadline(t), event.Append{
		Stream: "account-2", Events: []event.Proposed{account.NewOpened("ada")},
		Conditions: []event.Condition{event.StreamAbsent{Stream: "account-2"}, event.NoneMatch{Query: event.Query{{Tags: []string{"owner:ada"}}}}},
	})
	var conflict *event.ConflictError
	if !errors.As(err, &conflict) || conflict.Position != 1 || conflict.Index != 1 || len(conflict.Condition.(event.NoneMatch).Query) != 1 {
		t.Errorf("got %v", err)
	}
	_, err = c.Command(deadline(t), "account", "1", "open", account.NewOpen("bob"), client.CommandOptions{})
	if err == nil || err.Error() != "rejected (already_open): the account was opened before" {
		t.Errorf("got %v", err)
	}
	if _, _, err := c.ViewGet(deadline(t), "loans", "1", client.ViewOptions{}); !errors.As(err, new(*event.UnknownError)) {
		t.Errorf("got %v", err)
	}
	receipt, err := c.Command(deadline(t), "account", "1", "credit", account.NewCredit(account.CreditFields{Amount: 3}), client.CommandOptions{Key: "k", Expect: 1, ExpectVersion: true})
	if err != nil {
		t.Fatal(err)
	}
	row, position, err := c.ViewGet(deadline(t), "balances", "1", client.ViewOptions{AtLeast: receipt.Position})
	if err != nil || row == nil || position < receipt.Position {
		t.Errorf("row % x at %d, %v", row, position, err)
	}
	rows, err := c.ViewList(deadline(t), "balances", client.Range{Index: "owner", Equal: []any{"ada"}, Limit: 3}, client.ViewOptions{})
	if err != nil || rows.Count != 1 || rows.Cursor != "" {
		t.Fatalf("rows %+v, %v", rows, err)
	}
	for r, err := range rows.All() {
		if err != nil || !bytes.Equal(r, row) {
			t.Errorf("the row of the list is % x, %v, want % x", r, err, row)
		}
	}
}
