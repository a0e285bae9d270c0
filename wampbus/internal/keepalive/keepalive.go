// Package keepalive has the kernel notice that the machine, or the network, at
// the other end of a TCP connection is gone: that costs no process anything.
package keepalive

import (
	"net"
	"time"
)

// probes is how often the other end is asked before it counts as gone.
const probes = 5

// Watch has the kernel end a connection whose other end has acknowledged nothing
// for a time, to a few seconds. While something waits to be acknowledged, only
// Linux does so; others end it when their attempts to send it are used up. It
// looks through TLS, and does nothing where there is no TCP.
func Watch(conn net.Conn, within time.Duration) error {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = outer.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: within / 2, Interval: within / 2 / probes, Count: probes})
	if err != nil {
		return err
	}
	return setUserTimeout(tcp, within)
}
