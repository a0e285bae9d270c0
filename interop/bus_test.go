package interop

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"testing"

	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// client is a WAMP library of another language, and what it takes to run it.
type client struct {
	name, program, script string
	// requires is what "make interop-deps" puts here for it, "" when it needs
	// nothing of that.
	requires string
	// rawURL is how its URLs of RawSocket begin, "" when it has none that works,
	// and raw the serializers that it has there.
	rawURL string
	raw    []string
}

// command returns the program to run and its arguments.
func (c client) command(t *testing.T, args ...string) (name string, all []string) {
	t.Helper()
	if c.requires == "" {
		self, err := os.Executable()
		must(t, err)
		return self, args
	}
	installed(t, c.requires)
	return program(t, c.program), append([]string{c.script}, args...)
}

var serializers = []string{"msgpack", "cbor", "json"}

var clients = []client{
	{"Autobahn|JS", "node", "autobahn.js", "node_modules/autobahn", "rs://", []string{"json"}},
	{name: "wampy", program: "node", script: "wampy.js", requires: "node_modules/wampy"}, // WebSocket only
	{"Autobahn|Python", ".venv/bin/python", "autobahn_client.py", ".venv/bin/python", "rs://", serializers},
	{name: "nexus", rawURL: "tcp://", raw: serializers}, // in this binary, see nexus_test.go
}

// report is what a client has received, by its own account.
type report struct {
	Live struct {
		Count  int
		First  uint64
		SHA256 string
	}
	Paged struct {
		Count, Answers int
		SHA256         string
	}
}

// reply is the answer to a call.
type reply struct {
	Args []struct {
		Binary []byte
	}
	Kwargs struct {
		Position, Version, Count float64
		First, Last, Actual      float64
		Repeated                 bool
		Code, Argument, Kind     string
		Type                     string
	}
	Error string
}

// TestClients has each client, with each serializer and over each transport that
// it has, follow the bus live, send
// commands of its own and then page the whole log. The records that it received
// either way have the SHA-256 of the log's.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, c := range clients {
		for _, serializer := range c.raw {
			t.Run(c.name+"/RawSocket/"+serializer, func(t *testing.T) {
				t.Parallel()
				follow(t, serve(t), func(bank *served) *conversation {
					name, args := c.command(t, c.rawURL+bank.raw, "verbatim", serializer)
					return talk(t, name, args...)
				})
			})
		}
		for _, serializer := range serializers {
			t.Run(c.name+"/"+serializer, func(t *testing.T) {
				t.Parallel()
				follow(t, serve(t), func(bank *served) *conversation {
					name, args := c.command(t, bank.url, "verbatim", serializer)
					return talk(t, name, args...)
				})
			})
		}
	}
}

// follow has a client that is started live through a bank's events, take part,
// and page them.
func follow(t *testing.T, bank *served, start func(*served) *conversation) {
	t.Helper()
	bank.open("before", 30)
	before := bank.head()
	talk := start(bank)
	bank.open("live", 30)
	commands(t, talk, bank)
	appends(t, talk, bank)
	refusals(t, talk)

	var got report
	talk.ask(&got, `{"finish": %d}`, bank.head())
	talk.end()

	if sum, count := bank.digest(before); got.Live.Count != count || got.Live.First != before+1 || got.Live.SHA256 != sum {
		t.Errorf("live: %+v, the log has %d events from %d on with %s", got.Live, count, before+1, sum)
	}
	if sum, count := bank.digest(0); got.Paged.Count != count || got.Paged.SHA256 != sum {
		t.Errorf("paged: %+v, the log has %d events with %s", got.Paged, count, sum)
	}
	if got.Paged.Answers < 3 {
		t.Errorf("the log came in %d pages, too few to tell that paging works", got.Paged.Answers)
	}
}

// commands has the client open an account and read its row.
func commands(t *testing.T, talk *conversation, bank *served) {
	t.Helper()
	var opened, row reply
	talk.ask(&opened, `{"call": "es.command.account.open", "args": ["own", {"binary": %q}], "kwargs": {"key": "first"}}`, encoded(account.NewOpen("Grace")))
	position := bank.head()
	if opened.Error != "" || opened.Kwargs.Position != float64(position) || opened.Kwargs.Version != 1 || opened.Kwargs.Count != 1 {
		t.Fatalf("open: %+v, want one event at position %d", opened, position)
	}
	talk.ask(&row, `{"call": "es.view.balances.get", "args": ["own"], "kwargs": {"at_least": %d, "wait_ms": 30000}}`, position)
	if want := bank.row("own", position); len(row.Args) != 1 || len(want) == 0 || !bytes.Equal(row.Args[0].Binary, want) {
		t.Fatalf("get: %+v, the view has %x", row, want)
	}
}

// appends has the client append an event, repeat that with its key, and learn
// of a conflict.
func appends(t *testing.T, talk *conversation, bank *served) {
	t.Helper()
	position := float64(bank.head() + 1)
	one := fmt.Sprintf(`{"call": "es.append", "args": [["bank.account.Credited", {"binary": %q}, {"metadata": {"from": "afar"}}]], "kwargs": {"stream": "account-own", "expect": 1`,
		encoded(account.NewCredited(account.CreditedFields{Amount: 3}).Data))
	for _, repeated := range []bool{false, true} {
		var got reply
		talk.ask(&got, "%s", one+`, "key": "once"}}`)
		if got.Error != "" || got.Kwargs.First != position || got.Kwargs.Last != position || got.Kwargs.Version != 2 || got.Kwargs.Repeated != repeated {
			t.Errorf("append: %+v, want position %v, repeated %v", got, position, repeated)
		}
	}
	var conflict reply
	if talk.ask(&conflict, "%s", one+"}}"); conflict.Error != "es.error.conflict" || conflict.Kwargs.Actual != 2 {
		t.Errorf("a conflict: %+v", conflict)
	}
}

// refusals has the client ask for what can't be, and be told why.
func refusals(t *testing.T, talk *conversation) {
	t.Helper()
	overdraft := encoded(account.NewDebit(account.DebitFields{Amount: 1000}))
	for _, c := range []struct {
		order string
		error string
		fact  func(reply) string
		want  string
	}{
		{`{"call": "es.command.account.debit", "args": ["own", {"binary": "` + overdraft + `"}]}`, "es.error.rejected", func(r reply) string { return r.Kwargs.Code }, "insufficient_funds"},
		{`{"call": "es.command.account.open", "args": ["other", {"binary": "` + overdraft + `"}]}`, "es.error.invalid_data", func(r reply) string { return r.Kwargs.Type }, "bank.account.Open"},
		{`{"call": "es.command.account.rob", "args": ["own", {"binary": ""}]}`, "es.error.unknown", func(r reply) string { return r.Kwargs.Kind }, "command"},
		{`{"call": "es.read", "kwargs": {"nonsense": 1}}`, "wamp.error.invalid_argument", func(r reply) string { return r.Kwargs.Argument }, "nonsense"},
		{`{"call": "es.schema.register", "args": [{"binary": ""}]}`, "wamp.error.not_authorized", func(reply) string { return "" }, ""},
	} {
		var got reply
		if talk.ask(&got, "%s", c.order); got.Error != c.error || c.fact(got) != c.want {
			t.Errorf("%s: %+v, want %s with %q", c.order, got, c.error, c.want)
		}
	}
}

func encoded(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
