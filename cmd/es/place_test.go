package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/dynamic"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// patience bounds every wait; only what hangs meets it.
const patience = time.Minute

// bus serves a log in memory, of those schemas, to anybody.
func bus(t *testing.T, schemas ...schema.Sources) (url string, log *memstore.Store) {
	t.Helper()
	log, err := memstore.New(schemas...)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, log, log.Schemas()), log
}

// serve serves a log as if these were its schemas.
func serve(t *testing.T, log *memstore.Store, schemas *schema.Set) (url string) {
	t.Helper()
	return serveWith(t, wampbus.Options{Log: log, Schemas: schemas, Anonymous: wampbus.Reader | wampbus.Writer | wampbus.Admin})
}

func serveWith(t *testing.T, o wampbus.Options) (url string) {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	bus, err := wampbus.New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- bus.ServeWebSocket(ctx, listener) }()
	t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			t.Errorf("close the bus: %v", err)
		}
		stop()
		<-over
	})
	return "ws://" + listener.Addr().String() + "/"
}

// pair is a binary schema of other packages' tests.
func pair(t *testing.T, elements ...string) []byte {
	t.Helper()
	bfbs, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return bfbs
}

// versions are a log that knows the schemas in logs, and a set in which all of
// them have come, one after the other.
func versions(t *testing.T, logs []byte, all ...[]byte) (*memstore.Store, *schema.Set) {
	t.Helper()
	log, err := memstore.New(schema.Sources{{BFBS: logs}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, bfbs := range all {
		if _, err := set.Add(bfbs); err != nil {
			t.Fatal(err)
		}
	}
	return log, set
}

// output is what a running command has printed.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // holds a value when there is more
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.written <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the output has that many lines.
func (o *output) await(t *testing.T, lines int) {
	t.Helper()
	deadline := time.After(patience)
	for strings.Count(o.String(), "\n") < lines {
		select {
		case <-o.written:
		case <-deadline:
			t.Fatalf("after %v there is\n%s", patience, o)
		}
	}
}

// running is a command that runs beside the test.
type running struct {
	stdout, stderr output
	interrupt      context.CancelFunc
	status         chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	r := &running{interrupt: interrupt, status: make(chan int, 1)}
	r.stdout.written = make(chan struct{}, 1)
	r.stderr.written = make(chan struct{}, 1)
	go func() { r.status <- run(ctx, args, strings.NewReader(""), &r.stdout, &r.stderr) }()
	t.Cleanup(interrupt)
	return r
}

func (r *running) ends(t *testing.T) (status int) {
	t.Helper()
	select {
	case status := <-r.status:
		return status
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return -1
}

// positions are those in JSON lines.
func positions(t *testing.T, text string) string {
	t.Helper()
	list := []uint64{}
	for line := range strings.Lines(text) {
		var shown struct{ Position uint64 }
		if err := json.Unmarshal([]byte(line), &shown); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, shown.Position)
	}
	return fmt.Sprint(list)
}

// bankEvents appends four events to two accounts.
func bankEvents(t *testing.T, log event.Appender) {
	t.Helper()
	for _, a := range []event.Append{
		{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: 1500})}},
		{Stream: "account-2", Events: []event.Proposed{account.NewOpened("bob"), account.NewCredited(account.CreditedFields{Amount: 5})}},
	} {
		if _, err := log.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

func credit(t *testing.T, log event.Appender, stream string, amount int64) {
	t.Helper()
	if _, err := log.Append(t.Context(), event.Append{Stream: stream, Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: amount})}}); err != nil {
		t.Fatal(err)
	}
}

func TestTailABus(t *testing.T) {
	t.Parallel()
	url, log := bus(t, account.Schema)
	bankEvents(t, log)
	for _, c := range []struct {
		args      []string
		positions string
	}{
		{[]string{"--after", "0", "--limit", "4"}, "[1 2 3 4]"},
		{[]string{"--after", "2", "--limit", "2"}, "[3 4]"},
		{[]string{"--after", "0", "--stream", "account-2", "--limit", "2"}, "[3 4]"},
		{[]string{"--after", "0", "--category", "account", "--limit", "3"}, "[1 2 3]"},
		{[]string{"--after", "0", "--type", "bank.account.Credited", "--limit", "2"}, "[2 4]"},
		{[]string{"--after", "0", "--type", "bank.", "--tag", "owner:bob", "--limit", "1"}, "[3]"},
		{[]string{"--after", "0", "--tag", "owner:bob", "--limit", "1"}, "[3]"},
		{[]string{"--after", "0", "--stream", "account-2", "--type", account.CreditedType, "--limit", "1"}, "[4]"},
		{[]string{"--after", "0", "--category", "account", "--tag", "owner:bob", "--limit", "1"}, "[3]"},
		{[]string{"--after", "0", "--where", "amount > 1000", "--limit", "1"}, "[2]"},
		{[]string{"--after", "0", "--where", "amount < 1000 or memo == 'x'", "--limit", "1"}, "[4]"},
	} {
		status, stdout, stderr := es(t, append([]string{"tail", url, "--json"}, c.args...)...)
		if status != 0 || stderr != "" || positions(t, stdout) != c.positions {
			t.Errorf("%q: status %d, stderr %q\n%s", c.args, status, stderr, stdout)
		}
	}
}

// follows tests a tail of a log that has bankEvents: what is there, what comes
// while it runs, and how it ends.
func follows(t *testing.T, place string, log event.Appender) {
	t.Helper()
	r := start(t, "tail", place, "--json", "--after", "0", "--where", "amount >= 1000")
	r.stdout.await(t, 1)
	credit(t, log, "account-2", 7)
	credit(t, log, "account-2", 1000)
	r.stdout.await(t, 2)
	if got := positions(t, r.stdout.String()); got != "[2 6]" {
		t.Errorf("got %s", got)
	}
	r.interrupt()
	if status := r.ends(t); status != 0 || r.stderr.String() != "" {
		t.Errorf("interrupted: status %d, stderr %q", status, r.stderr.String())
	}
}

func TestTailFollowsABus(t *testing.T) {
	t.Parallel()
	url, log := bus(t, account.Schema)
	bankEvents(t, log)
	follows(t, url, log)
}

func TestTailFollowsAStoreBesideItsWriter(t *testing.T) {
	t.Parallel()
	dir, store, _ := bankStore(t)
	defer store.Close()
	r := start(t, "tail", dir, "--after", "0", "--limit", "5")
	r.stdout.await(t, 4*10) // the events that there are
	credit(t, store, "account-2", 7)
	if status := r.ends(t); status != 0 || strings.Count(r.stdout.String(), "type         bank.account.") != 5 || !strings.Contains(r.stdout.String(), "\n  amount  7\n") {
		t.Errorf("status %d, stderr %q\n%s", status, r.stderr.String(), r.stdout.String())
	}
}

// Without --after, only what comes is printed. The command has asked for the
// head when its own event comes back.
func TestTailBeginsWithWhatComes(t *testing.T) {
	t.Parallel()
	url, log := bus(t, account.Schema)
	bankEvents(t, log)
	r := start(t, "tail", url, "--json", "--limit", "1")
	deadline := time.After(patience)
	for done := false; !done; {
		credit(t, log, "account-2", 1)
		select {
		case <-r.stdout.written:
			done = true
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("nothing comes")
		}
	}
	if status := r.ends(t); status != 0 {
		t.Errorf("status %d: %s", status, r.stderr.String())
	}
	if got := r.stdout.String(); strings.Contains(got, `"position":1,`) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}

// Events of versions that the bus no longer calls current, and of schemas that
// come while the command runs, are shown by them.
func TestTailLearnsSchemas(t *testing.T) {
	t.Parallel()
	shop := func(name string) []byte { return pair(t, "internal", "registry", "testdata", "split", name) }
	url, log := bus(t, schema.Sources{{BFBS: shop("shop.bfbs")}})
	sell := func() {
		status, stdout, stderr := es(t, "append", url, "shelf-1", "shop.Sold", "{}")
		if status != 0 {
			t.Fatalf("append: %s%s", stdout, stderr)
		}
	}
	sell()
	if _, err := log.Register(t.Context(), shop("shop2.bfbs")); err != nil {
		t.Fatal(err)
	}
	r := start(t, "tail", url, "--json", "--after", "0", "--limit", "3")
	r.stdout.await(t, 1)
	sell()
	if _, err := log.Register(t.Context(), account.Schema[0].BFBS); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := es(t, "append", url, "account-1", account.OpenedType, `{"owner":"eve"}`); status != 0 {
		t.Fatal(stderr)
	}
	if status := r.ends(t); status != 0 || !strings.Contains(r.stdout.String(), `"data":{"owner":"eve"}`) {
		t.Errorf("status %d, stderr %s\n%s", status, r.stderr.String(), r.stdout.String())
	}
}

// A field that is deprecated now was none when the event was written. A bus does
// not list the versions before the current ones.
func TestTailAsksOlderVersions(t *testing.T) {
	t.Parallel()
	old := pair(t, "schema", "compat", "testdata", "pairs", "tag-deprecated", "old.bfbs")
	log, set := versions(t, old, old, pair(t, "schema", "compat", "testdata", "pairs", "tag-deprecated", "new.bfbs"))
	const opened = "bank.account.Opened"
	before, err := schema.Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	table, err := dynamic.NewSet(set).Table(opened, before.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	data, err := table.ParseJSON([]byte(`{"owner":"ada"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), event.Append{Stream: "account-1", Events: []event.Proposed{{Type: opened, Data: data, Schema: before.Fingerprint}}}); err != nil {
		t.Fatal(err)
	}
	url := serve(t, log, set)
	status, stdout, stderr := es(t, "tail", url, "--json", "--after", "0", "--where", "owner == 'ada'", "--limit", "1")
	if status != 0 || positions(t, stdout) != "[1]" || !strings.Contains(stderr, "are still asked") {
		t.Errorf("status %d, stderr %s\n%s", status, stderr, stdout)
	}
}

// Without its schema an event is shown as bytes.
func TestTailShowsWhatItHasNoSchemaFor(t *testing.T) {
	t.Parallel()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	bankEvents(t, log)
	nothing, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, log, nothing)
	status, stdout, stderr := es(t, "tail", url, "--json", "--after", "0", "--limit", "4")
	if status != 0 || positions(t, stdout) != "[1 2 3 4]" || strings.Count(stdout, `"data_base64":"`) != 4 || strings.Count(stdout, `"data_error":"`) != 4 || !strings.Contains(stderr, "es: position 4: ask for schema") {
		t.Errorf("status %d, stderr %s\n%s", status, stderr, stdout)
	}
}

// The schema that is current for one type may be an older one for others, and
// the bus lists types by name.
func TestAppendTakesTheSchemaThatIsCurrent(t *testing.T) {
	t.Parallel()
	shop := func(name ...string) []byte {
		return pair(t, append([]string{"internal", "registry", "testdata"}, name...)...)
	}
	newest := shop("split", "shop2.bfbs")
	log, set := versions(t, newest, shop("whole", "shop.bfbs"), newest)
	url := serve(t, log, set)
	status, stdout, stderr := es(t, "append", url, "shelf-1", "shop.Sold", `{"price": 7}`)
	if status != 0 {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	url, log := bus(t, account.Schema)
	dir, _ := closedBankStore(t)
	_ = log
	for _, place := range []string{url, dir} {
		for _, c := range []struct {
			args   []string
			status int
			says   string
		}{
			{[]string{"account-9", account.OpenedType, `{"owner":"eve"}`, "--expect", "absent", "--key", "k9"}, 0, "version 1, id 0"},
			{[]string{"account-9", account.OpenedType, `{"owner":"eve"}`, "--expect", "absent", "--key", "k9"}, 0, "(repeated"},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--expect", "1", "--tag", "from:shell", "--meta", "who=me=too"}, 0, "version 2"},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--expect", "1"}, 1, "version 2"},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--expect", "absent"}, 1, "account-9"},
			{[]string{"account-8", account.CreditedType, `{"amount":7}`, "--expect", "present"}, 1, "account-8"},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--expect", "present"}, 0, "version 3"},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--expect", "some"}, 1, `"some" is neither`},
			{[]string{"account-9", account.CreditedType, `{"amount":7}`, "--meta", "some"}, 1, "has no ="},
			{[]string{"account-9", account.CreditedType, `{"amuont":7}`}, 1, "amuont"},
			{[]string{"account-9", account.CreditedType, `{"amount":"many"}`}, 1, "amount"},
			{[]string{"account-9", account.OpenedType, `{}`}, 1, "owner"},
			{[]string{"account-9", account.OpenedType, `nonsense`}, 1, account.OpenedType},
			{[]string{"account-9", account.OpenedType}, 1, account.OpenedType}, // stdin is empty
			{[]string{"account-9", "bank.account.Nothing", `{}`}, 1, "es schema register"},
			{[]string{"account-9", "bank.account.Open", `{"owner":"eve"}`}, 1, `its schema says "command"`},
			{[]string{"account-9", "opened", `{"owner":"eve"}`}, 1, `did you mean "bank.account.Opened"`},
			{[]string{account.OpenedType, "account-9", `{"owner":"eve"}`}, 1, "the stream comes before it"},
		} {
			status, stdout, stderr := es(t, append([]string{"append", place}, c.args...)...)
			if status != c.status || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("%s: %q: status %d, %s%s", place, c.args, status, stdout, stderr)
			}
		}
	}
	_, stdout, _ := es(t, "dump", dir, "--json", "--stream", "account-9", "--after", "5", "--limit", "1")
	for _, want := range []string{`"data":{"amount":7}`, `from:shell`, `me=too`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%s is not in %s", want, stdout)
		}
	}
}

func TestAppendReadsStdin(t *testing.T) {
	t.Parallel()
	url, log := bus(t, account.Schema)
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"append", url, "account-1", account.OpenedType}, strings.NewReader(`{"owner": "ada"}`), &out, &errs)
	if status != 0 {
		t.Fatal(errs.String())
	}
	for e, err := range event.Read(t.Context(), log, event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		if opened, ok := account.AsOpened(e); !ok || opened.Owner() != "ada" {
			t.Errorf("appended %v", e)
		}
	}
	long := []string{"append", url, "account-1", account.OpenedType, strings.Repeat(" ", maxJSON+1)}
	if status := run(t.Context(), long, strings.NewReader(""), &out, &errs); status != 1 || !strings.Contains(errs.String(), "over the limit") {
		t.Errorf("too much in an argument: status %d, %.1000s", status, errs.String())
	}
	errs.Reset()
	endless := strings.NewReader(strings.Repeat(" ", maxJSON+1))
	if status := run(t.Context(), []string{"append", url, "account-1", account.OpenedType}, endless, &out, &errs); status != 1 || !strings.Contains(errs.String(), "over the limit") {
		t.Errorf("too much: status %d, %s", status, errs.String())
	}
}

func TestSchemaRegister(t *testing.T) {
	t.Parallel()
	pair := func(name string) string {
		return filepath.Join("..", "..", "schema", "compat", "testdata", "pairs", name)
	}
	url, log := bus(t)
	dir, _ := closedBankStore(t)
	for _, place := range []string{url, dir} {
		for _, c := range []struct {
			file   string
			status int
			says   string
		}{
			{pair("field-retyped/old.fbs"), 0, "is registered"},
			{pair("field-retyped/old.bfbs"), 0, "is registered"},
			{pair("field-retyped/new.bfbs"), 1, "field-retyped"},
			{"main.go", 1, "main.go: binary schema"},
			{"nowhere.fbs", 1, "nowhere.fbs"},
		} {
			status, stdout, stderr := es(t, "schema", "register", place, c.file)
			if status != c.status || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("%s: %s: status %d, %s%s", place, c.file, status, stdout, stderr)
			}
		}
	}
	if status, _, stderr := es(t, "schema", "register", dir, pair("field-retyped/new.bfbs"), "--mode", "NONE"); status != 0 {
		t.Errorf("asked for nothing: %s", stderr)
	}
	if n := len(log.Schemas().Schemas()); n != 1 {
		t.Errorf("the bus has %d schemas", n)
	}
}

// TestLogin is who one is at a bus that knows users.
func TestLogin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	var lines []byte
	for _, of := range [][3]string{{"rita", "reader", users.Ticket}, {"will", "writer", users.CRA}} {
		c, err := users.New(of[0], of[1], of[2], "secret of "+of[0])
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, c.String()+"\n"...)
	}
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := users.Open(file, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	url := serveWith(t, wampbus.Options{Log: log, Schemas: log.Schemas(), Users: known})
	for _, c := range []struct {
		who    []string
		status int
		says   string
	}{
		{nil, 1, "authenticate"},
		{[]string{"--user", "rita", "--secret", "secret of rita"}, 1, "not_authorized"},
		{[]string{"--user", "will", "--secret", "secret of will"}, 1, "does the user log in by ticket? --method chooses"},
		{[]string{"--user", "will", "--secret", "secret of will", "--method", "wampcra"}, 0, "position 1"},
	} {
		args := append([]string{"append", url, "account-1", account.OpenedType, `{"owner":"ada"}`}, c.who...)
		if status, stdout, stderr := es(t, args...); status != c.status || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%q: status %d, %s%s", c.who, status, stdout, stderr)
		}
	}
}

func TestPlaceErrors(t *testing.T) {
	t.Parallel()
	dir, store, _ := bankStore(t)
	defer store.Close()
	for want, args := range map[string][]string{
		"has no log: give the":    {"tail", t.TempDir()},
		"or the URL of a bus":     {"append", "localhost:8080", "account-1", account.OpenedType, `{"owner":"x"}`},
		"a secret, as ES_SECRET":  {"tail", "ws://127.0.0.1:1/", "--user", "ann"},
		"whose secret":            {"tail", "ws://127.0.0.1:1/", "--secret", "s"},
		`form "key:value"`:        {"tail", dir, "--stream", "account-1", "--tag", "x"},
		"give the URL of its bus": {"append", dir, "account-1", account.OpenedType, `{"owner":"x"}`},
		"connect to ws://":        {"tail", "ws://127.0.0.1:1/"},
		"ftp":                     {"tail", "ftp://127.0.0.1/"},
		"no field":                {"tail", dir, "--where", "amuont > 1"},
		"give one filter":         {"tail", dir, "--stream", "account-1", "--category", "account"},
		"--limit: -1":             {"tail", dir, "--limit=-1"},
		"--limit: 0":              {"tail", dir, "--limit=0"},
	} {
		if status, stdout, stderr := es(t, args...); status == 0 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, %s%s", args, status, stdout, stderr)
		}
	}
}
