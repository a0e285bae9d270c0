package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/client"

	"github.com/verbatim-es/verbatim/wampbus"
)

// TestCrossbar attaches the bus to a Crossbar router, by WebSocket and by
// RawSocket, and has a client of that router do there what it does at the bus.
func TestCrossbar(t *testing.T) {
	t.Parallel()
	crossbar, err := filepath.Abs(".crossbar/bin/crossbar")
	must(t, err)
	if _, err := os.Stat(crossbar); err != nil {
		t.Skip("Crossbar is not installed: \"make interop-crossbar\" does that, and takes minutes")
	}
	webSocket, unix := startCrossbar(t, crossbar)
	for name, url := range map[string]string{"WebSocket": webSocket, "RawSocket": "unix://" + unix} {
		for _, serializer := range []string{"msgpack", "cbor", "json"} { // one after the other: a procedure is registered once
			t.Run(name+"/"+serializer, func(t *testing.T) {
				bank := serve(t)
				ctx, stop := context.WithCancel(t.Context())
				over := make(chan error, 1)
				go func() {
					over <- bank.bus.Attach(ctx, wampbus.Remote{URL: url, Realm: "verbatim", Roles: wampbus.Writer | wampbus.Commander})
				}()
				attached(t, webSocket, over)
				follow(t, bank, func(*served) *conversation {
					name, args := client{name: "nexus"}.command(t, webSocket, "verbatim", serializer)
					return talk(t, name, args...)
				})
				stop()
				must(t, <-over)
			})
		}
	}
}

// startCrossbar starts a router with the realm "verbatim", where everybody may
// do everything, and returns where it listens.
func startCrossbar(t *testing.T, program string) (webSocket, unix string) {
	t.Helper()
	dir := t.TempDir()
	unix = filepath.Join(dir, "raw")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	type object = map[string]any
	anonymous := object{"anonymous": object{"type": "static", "role": "anonymous"}}
	everything := object{"call": true, "register": true, "publish": true, "subscribe": true}
	config, err := json.Marshal(object{"version": 2, "workers": []any{object{
		"type": "router",
		"realms": []any{object{"name": "verbatim", "roles": []any{object{"name": "anonymous", "permissions": []any{
			object{"uri": "", "match": "prefix", "allow": everything, "disclose": object{"caller": true, "publisher": false}, "cache": true},
		}}}}},
		"transports": []any{
			object{"type": "websocket", "endpoint": object{"type": "tcp", "interface": "127.0.0.1", "port": port}, "auth": anonymous},
			object{"type": "rawsocket", "endpoint": object{"type": "unix", "path": unix}, "auth": anonymous},
		},
	}}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600))
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "start", "--cbdir", dir, "--loglevel", "warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		if _ = cmd.Wait(); t.Failed() {
			t.Logf("crossbar: %s", said.Bytes())
		}
	})
	webSocket = "ws://" + listener.Addr().String() + "/"
	until(t, "crossbar listens", func() bool {
		for _, at := range [][2]string{{"tcp", listener.Addr().String()}, {"unix", unix}} {
			conn, err := net.Dial(at[0], at[1])
			if err != nil {
				return false
			}
			_ = conn.Close()
		}
		return true
	})
	return webSocket, unix
}

// attached waits until a client of the router finds the bus there.
func attached(t *testing.T, url string, over <-chan error) {
	t.Helper()
	until(t, "the bus is attached", func() bool {
		select {
		case err := <-over:
			t.Fatalf("Attach returned %v", err)
		default:
		}
		c, err := nexus.ConnectNet(t.Context(), url, nexus.Config{Realm: "verbatim", Logger: log.New(io.Discard, "", 0)})
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = c.Call(t.Context(), "es.view.balances.list", nil, nil, nil, nil) // of the prefixes, one
		return err == nil
	})
}

// until waits for a condition that the test can only look at.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
