package interop

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
)

// tell has the page tell the test what it shows.
const tell = `<script type="module">
  new MutationObserver(() => {
    const lines = [...document.querySelectorAll('#events li')].map((li) => li.textContent)
    fetch('/shown', { method: 'POST', body: lines.join('\n') })
  }).observe(document.querySelector('#events'), { childList: true })
</script>
`

// The page in docs/LANGUAGES.md, in a browser, as it stands there but for the
// port of the bus.
func TestBrowser(t *testing.T) {
	t.Parallel()
	node := program(t, "node")
	browser, err := exec.LookPath("chromium")
	if err != nil {
		need(t, "chromium is not installed: \"make interop-browser\" does that on Debian")
	}
	tsc := installed(t, "node_modules", "typescript", "bin", "tsc")
	dir := project(t, "bank_events.js")
	modules, err := filepath.Abs("node_modules")
	must(t, err)
	must(t, os.Symlink(modules, filepath.Join(dir, "node_modules")))
	copyClient(t, dir, "es.js")
	if out, err := output(t, nil, node, tsc, "--outDir", filepath.Join(dir, "js"), "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler",
		filepath.Join(dir, "ts", "bank", "account.ts")); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}

	shown := make(chan string, 100)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("POST /shown", func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		shown <- string(text)
	})
	pages := httptest.NewServer(mux)
	t.Cleanup(pages.Close)

	store, err := memstore.New(account.Schema)
	must(t, err)
	accounts := account.NewHandler(store, bank.Teller{}, aggregate.Options{})
	_, err = accounts.Open(t.Context(), "7", "Åse 🦊")
	must(t, err)
	_, err = accounts.Credit(t.Context(), "7", account.CreditFields{Amount: 1 << 40, Memo: "from Go"})
	must(t, err)
	bus, err := wampbus.New(wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Reader, AllowedOrigins: []string{pages.URL},
	})
	must(t, err)
	t.Cleanup(func() { must(t, bus.Close()) })
	routes := httptest.NewServer(bus.Handler())
	t.Cleanup(routes.Close)

	text, err := os.ReadFile("../docs/LANGUAGES.md")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "```html\n")
	page, _, ok := strings.Cut(rest, "```")
	at := strings.TrimPrefix(routes.URL, "http://")
	if !ok || strings.Count(page, "127.0.0.1:8080") != 1 {
		t.Fatal("docs/LANGUAGES.md has no page that connects to 127.0.0.1:8080")
	}
	write(t, filepath.Join(dir, "index.html"), []byte(strings.Replace(page, "127.0.0.1:8080", at, 1)+tell))

	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
		"--user-data-dir="+filepath.Join(dir, "profile"), pages.URL+"/")
	var console bytes.Buffer
	cmd.Stderr = &console
	must(t, cmd.Start())
	defer func() {
		cancel()
		_ = cmd.Wait()
		for line := range strings.Lines(console.String()) {
			if t.Failed() && strings.Contains(line, "CONSOLE") {
				t.Log(line)
			}
		}
	}()
	const want = "account-7 opened by Åse 🦊\naccount-7 +1099511627776 from Go"
	for last := ""; last != want; {
		select {
		case last = <-shown:
		case <-time.After(patience):
			t.Fatalf("the page shows %q, want %q", last, want)
		}
	}
}
