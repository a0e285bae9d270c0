package wampbus

import (
	"context"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// userTimeout is after how many milliseconds the kernel ends a connection whose
// other end acknowledges nothing: 0 where nobody has told it.
func userTimeout(t *testing.T, conn net.Conn) (ms int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpUserTimeout = 0x12
	if err := raw.Control(func(fd uintptr) { ms, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// The kernel watches the connections of all sessions over TCP.
func TestSessionsAreWatched(t *testing.T) {
	t.Parallel()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Log: log, Schemas: log.Schemas(), Anonymous: Reader, Logger: slog.New(slog.DiscardHandler), Limits: Limits{KeepAlive: 7 * time.Second, Write: 3 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for scheme, serve := range map[string]func(context.Context, net.Listener) error{"ws": b.ServeWebSocket, "rs": b.ServeRawSocket} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = serve(t.Context(), listener) }()
		c, err := client.Dial(t.Context(), scheme+"://"+listener.Addr().String(), client.Options{Unverified: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for _, s := range b.sessions.all() {
		if ms := userTimeout(t, s.conn); ms != 7000 {
			t.Errorf("%s: given up after %d ms", s.transport.name(), ms)
		}
	}
	if n := len(b.sessions.all()); n != 2 {
		t.Errorf("%d sessions", n)
	}
}
