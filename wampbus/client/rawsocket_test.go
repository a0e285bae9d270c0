package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The types of frames.
const (
	rawSocketMessage = iota
	rawSocketPing
	rawSocketPong
)

// rawServer accepts one connection on a unix socket and runs serve on it.
func rawServer(t *testing.T, serve func(net.Conn) error) (url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if err := serve(conn); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "unix://" + path
}

// rawMessages answers HELLO and es.info, pings in between, and then calls.
func rawMessages(conn net.Conn, format codec.Format, respond func(wamp.Message) wamp.Message) error {
	for {
		var header [4]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return err
		}
		body := make([]byte, int(header[1])<<16|int(header[2])<<8|int(header[3]))
		if _, err := io.ReadFull(conn, body); err != nil {
			return err
		}
		if header[0] == rawSocketPong {
			if string(body) != "are you there" {
				return errors.New("a pong with other bytes than its ping's")
			}
			continue
		}
		m, err := format.Decode(body)
		if err != nil {
			return err
		}
		out, err := format.Append(nil, respond(m))
		if err != nil {
			return err
		}
		frames := append([]byte{rawSocketPing, 0, 0, 13}, "are you there"...)
		frames = append(frames, rawSocketPong, 0, 0, 0)
		frames = append(frames, rawSocketMessage, byte(len(out)>>16), byte(len(out)>>8), byte(len(out)))
		if _, err := conn.Write(append(frames, out...)); err != nil {
			return io.EOF // it has gone
		}
	}
}

// The client over RawSocket: the handshake byte for byte, messages in every
// serialization, pings, and the server's bound on messages.
func TestRawSocket(t *testing.T) {
	t.Parallel()
	for format, serializer := range map[codec.Format]byte{codec.JSON: 1, codec.MessagePack: 2, codec.CBOR: 3} {
		t.Run(format.String(), func(t *testing.T) {
			t.Parallel()
			one := record(t, 1, event.Proposed{Type: "a.B", Data: bytes.Repeat([]byte{1}, 100)})
			kwargs := wamp.Dict{"store": storeID.String(), "count": 1, "last": 1, "head": 1, "more": false}
			url := rawServer(t, func(conn net.Conn) error {
				var hello [4]byte
				if _, err := io.ReadFull(conn, hello[:]); err != nil {
					return err
				}
				if want := [4]byte{0x7f, 0xf0 | serializer, 0, 0}; hello != want {
					t.Errorf("the handshake is % x, want % x", hello, want)
				}
				if _, err := conn.Write([]byte{0x7f, 0x30 | serializer, 0, 0}); err != nil { // 4096 bytes
					return err
				}
				return rawMessages(conn, format, answering(wamp.List{one}, kwargs))
			})
			c, err := Dial(t.Context(), url, Options{Serialization: format.String(), Unverified: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			page, err := c.ReadPage(t.Context(), event.Selection{}, event.PageOptions{})
			if err != nil || !bytes.Equal(page.Records, one) {
				t.Errorf("got % x, %v", page.Records, err)
			}
			var large *event.TooLargeError
			_, err = c.Append(t.Context(), event.Append{Stream: "a-1", Events: []event.Proposed{{Type: "a.B", Data: make([]byte, 4096)}}})
			if !errors.As(err, &large) || large.Limit != 4096 {
				t.Errorf("a message that the server does not take: %v", err)
			}
		})
	}
}

// Servers that are none, or won't.
func TestRawSocketRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string][]byte{
		"not raw": []byte("HTTP"), "serializer": {0x7f, 0x10, 0, 0}, "other serializer": {0x7f, 0xf1, 0, 0},
		"reserved": {0x7f, 0xf2, 1, 0}, "unknown error": {0x7f, 0xe0, 0, 0}, "short": {0x7f},
	} {
		url := rawServer(t, func(conn net.Conn) error { _, err := conn.Write(answer); return err })
		if c, err := Dial(t.Context(), url, Options{Unverified: true}); err == nil {
			_ = c.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	// One that never answers is left when the context ends.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	url := rawServer(t, func(conn net.Conn) error { _, err := io.Copy(io.Discard, conn); return err })
	if _, err := Dial(ctx, url, Options{Unverified: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server: %v", err)
	}
	for _, bad := range []string{"http://x/", "ws:///", "rs://host", "tcp://host", "rss://host", "tcps://host", "unix://", "://", "localhost:80"} {
		if _, err := Dial(t.Context(), bad, Options{Unverified: true}); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}
