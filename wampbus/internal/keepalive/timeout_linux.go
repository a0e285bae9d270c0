package keepalive

import (
	"net"
	"os"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall lacks (tcp(7)).
const tcpUserTimeout = 0x12

// setUserTimeout bounds how long sent bytes may stay unacknowledged: without it
// that is a quarter of an hour, in which nobody asks whether the other end is
// there.
func setUserTimeout(conn *net.TCPConn, within time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(within.Milliseconds())))
	}); err != nil {
		return err
	}
	return failed
}
