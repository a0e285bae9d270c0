package keepalive

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"
)

func option(t *testing.T, conn *net.TCPConn, level, name int) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// The kernel is told of all connections over TCP, with TLS or without, and of no
// others.
func TestWatch(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, wrap := range []func(net.Conn) net.Conn{
		func(conn net.Conn) net.Conn { return conn },
		func(conn net.Conn) net.Conn { return tls.Server(conn, nil) },
	} {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := Watch(wrap(conn), 50*time.Second); err != nil {
			t.Error(err)
		}
		tcp := conn.(*net.TCPConn)
		for name, want := range map[string]struct{ level, option, value int }{
			"keepalive": {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1}, "idle": {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 25},
			"interval": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5}, "count": {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 5},
			"user timeout": {syscall.IPPROTO_TCP, tcpUserTimeout, 50_000},
		} {
			if got := option(t, tcp, want.level, want.option); got != want.value {
				t.Errorf("%s is %d, want %d", name, got, want.value)
			}
		}
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if err := Watch(near, time.Second); err != nil {
		t.Errorf("no TCP: %v", err)
	}
}
