package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"
	"github.com/oklog/ulid/v2"
	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// impostor is a server that answers what the test wants.
func impostor(t *testing.T, respond func(m wamp.Message) wamp.Message) string {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{codec.CBOR.Subprotocol()}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			_, b, err := conn.ReadMessage()
			if err != nil {
				return
			}
			m, err := codec.CBOR.Decode(b)
			if err != nil {
				t.Error(err)
				return
			}
			out, err := codec.CBOR.Append(nil, respond(m))
			if err != nil || conn.WriteMessage(websocket.BinaryMessage, out) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

var storeID = ulid.Make()

// answering is an impostor's es.read.
func answering(page wamp.List, kwargs wamp.Dict) func(wamp.Message) wamp.Message {
	return func(m wamp.Message) wamp.Message {
		switch m := m.(type) {
		case *wamp.Hello:
			return &wamp.Welcome{ID: 1}
		case *wamp.Call:
			if m.Procedure == "es.info" {
				return &wamp.Result{Request: m.Request, ArgumentsKw: wamp.Dict{"protocol": 1, "store": storeID.String()}}
			}
			return &wamp.Result{Request: m.Request, Arguments: page, ArgumentsKw: kwargs}
		}
		return &wamp.Goodbye{Reason: wamp.CloseGoodbyeAndOut}
	}
}

func record(t *testing.T, position uint64, p event.Proposed) []byte {
	t.Helper()
	b, err := event.BuildRecord(&event.Append{Stream: "account-1", Events: []event.Proposed{p}}, 0, p.Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(b, event.ID{byte(position)}, position, position)
	return b
}

// A server is outside: what it sends is verified before anybody sees it.
func TestImpostor(t *testing.T) {
	t.Parallel()
	set, err := schema.Load(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	one, two, three := record(t, 1, account.NewOpened("ada")), record(t, 2, account.NewClosed()), record(t, 3, account.NewClosed())
	flipped := append([]byte(nil), one...)
	flipped[len(flipped)/2] ^= 1
	evil := account.NewOpened("ada")
	evil.Data = []byte{0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}
	foreign := record(t, 1, event.Proposed{Type: "other.Thing", Data: evil.Data})
	older := account.NewOpened("ada")
	older.Schema = 0x1234
	pages := func(records ...[]byte) wamp.List {
		var page []byte
		for _, r := range records {
			page = append(page, r...)
		}
		return wamp.List{page}
	}
	fields := func(count, last, head uint64, more bool) wamp.Dict {
		return wamp.Dict{"store": storeID.String(), "count": count, "last": last, "head": head, "more": more}
	}
	corrupt := func(err error) bool { return errors.As(err, new(*event.CorruptError)) }
	other := func(err error) bool { return err != nil }
	for name, c := range map[string]struct {
		args   wamp.List
		kwargs wamp.Dict
		s      event.Selection
		bad    func(error) bool // nil: it is fine
	}{
		"good":                {pages(one, two), fields(2, 2, 2, false), event.Selection{}, nil},
		"good, backward":      {pages(two, one), fields(2, 1, 2, false), event.Selection{Backward: true}, nil},
		"a foreign type":      {pages(foreign), fields(1, 1, 1, false), event.Selection{}, nil},
		"another version":     {pages(record(t, 1, older)), fields(1, 1, 1, false), event.Selection{}, nil},
		"nothing":             {nil, fields(0, 0, 0, false), event.Selection{}, other},
		"no binary":           {wamp.List{"text"}, fields(0, 0, 0, false), event.Selection{}, other},
		"no facts":            {pages(), wamp.Dict{}, event.Selection{}, other},
		"a flipped bit":       {pages(flipped), fields(1, 1, 1, false), event.Selection{}, corrupt},
		"torn":                {pages(one[:40]), fields(1, 1, 1, false), event.Selection{}, corrupt},
		"bad data":            {pages(record(t, 1, evil)), fields(1, 1, 1, false), event.Selection{}, func(err error) bool { return errors.As(err, new(*event.InvalidDataError)) }},
		"out of order":        {pages(two, one), fields(2, 2, 2, false), event.Selection{}, corrupt},
		"twice":               {pages(one, one), fields(2, 1, 1, false), event.Selection{}, corrupt},
		"before the start":    {pages(one), fields(1, 3, 3, false), event.Selection{After: 1}, corrupt},
		"behind last":         {pages(three), fields(1, 2, 3, true), event.Selection{}, corrupt},
		"backward, upwards":   {pages(one, two), fields(2, 1, 2, false), event.Selection{Backward: true}, corrupt},
		"backward, above":     {pages(two), fields(1, 1, 2, false), event.Selection{Backward: true, After: 2}, corrupt},
		"miscounted":          {pages(one), fields(2, 1, 1, false), event.Selection{}, other},
		"it leads nowhere":    {pages(), fields(0, 1, 9, true), event.Selection{After: 1}, other},
		"it ends before head": {pages(one), fields(1, 1, 9, false), event.Selection{}, other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cl, err := Dial(ctx, impostor(t, answering(c.args, c.kwargs)), Options{Serialization: "cbor", Schemas: set})
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			page, err := cl.ReadPage(ctx, c.s, event.PageOptions{})
			switch {
			case c.bad == nil && (err != nil || !page.Checked):
				t.Errorf("refused: %v", err)
			case c.bad != nil && (!c.bad(err) || page.Records != nil):
				t.Errorf("got %d bytes and the error %v", len(page.Records), err)
			}
		})
	}
}

// A server of another protocol is none.
func TestOtherProtocol(t *testing.T) {
	t.Parallel()
	for name, kwargs := range map[string]wamp.Dict{"newer": {"protocol": 2, "store": storeID.String()}, "none": {}, "no store": {"protocol": 1}} {
		url := impostor(t, func(m wamp.Message) wamp.Message {
			if call, ok := m.(*wamp.Call); ok {
				return &wamp.Result{Request: call.Request, ArgumentsKw: kwargs}
			}
			return &wamp.Welcome{ID: 1}
		})
		if c, err := Dial(t.Context(), url, Options{Serialization: "cbor", Unverified: true}); err == nil {
			_ = c.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
