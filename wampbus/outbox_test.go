package wampbus

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

func fits(ok, _ bool) bool { return ok }

func TestOutboxBound(t *testing.T) {
	t.Parallel()
	o := newOutbox(100, &webSocket{})
	if !fits(o.put(frameMessage, codec.Parts{Head: make([]byte, 1000)}, 0)) {
		t.Error("a single frame always fits")
	}
	if fits(o.put(frameMessage, codec.Parts{Head: []byte("x")}, 0)) {
		t.Error("it is over its bound")
	}
	frames, _ := o.take()
	if fits(o.put(frameMessage, codec.Parts{Head: []byte("x")}, 0)) {
		t.Error("what is being written counts")
	}
	o.written(frames.size, frames)
	for i := range 3 {
		if ok := fits(o.put(frameMessage, codec.Parts{Head: make([]byte, 40)}, 0)); ok != (i < 2) {
			t.Error("two frames of 40 fit into 100, and no third")
		}
	}
	if now, high := o.waiting(); now != 84 || high < 1000 {
		t.Errorf("%d wait, %d at most", now, high)
	}
	if !fits(o.put(frameMessage, codec.Parts{Head: make([]byte, 700)}, 200)) || fits(o.put(frameMessage, codec.Parts{Head: make([]byte, 900)}, 200)) {
		t.Error("what was reserved fits on top, and no more than that")
	}
	o.seal(true, func(dst []byte) []byte { return append(dst, "bye"...) })
	if !fits(o.put(frameMessage, codec.Parts{Head: make([]byte, 200)}, 0)) {
		t.Error("a sealed outbox takes no frame and refuses none")
	}
	o.seal(false, func(dst []byte) []byte { return append(dst, "again"...) })
	if frames, last := o.take(); string(frames.own) != "bye" || !last {
		t.Errorf("the last frames are %q, %v", frames.own, last)
	}
}

// What a frame refers to is given back when all of it was written, and never when
// it was dropped.
func TestOutboxGivesBack(t *testing.T) {
	t.Parallel()
	o := newOutbox(1000, &webSocket{})
	spent := 0
	put := func() {
		o.put(frameMessage, codec.Parts{Head: []byte("head"), Body: make([]byte, 100), Spent: func() { spent++ }}, 0)
	}
	put()
	put()
	frames, _ := o.take()
	put()
	if o.written(frames.size-1, frames); spent != 0 {
		t.Errorf("%d were given back while one byte is to be written", spent)
	}
	if o.written(1, frames); spent != 2 {
		t.Errorf("%d were given back, want the two that were written", spent)
	}
	if o.seal(true, nil); spent != 2 {
		t.Error("what was dropped is given back")
	}
	if put(); spent != 2 {
		t.Error("what comes too late is given back")
	}
}

// Reservations wait for room and for each other, and end with their context.
func TestOutboxReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(100, &webSocket{})
		if err := o.reserve(t.Context(), 1000); err != nil {
			t.Fatal("alone, any answer fits")
		}
		done := make(chan error, 2)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- o.reserve(ctx, 10) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it did not wait")
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for range 2 {
			go func() { done <- o.reserve(t.Context(), 50) }()
		}
		synctest.Wait()
		o.release(1000)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		go func() { done <- o.reserve(t.Context(), 50) }()
		o.put(frameMessage, codec.Parts{Head: make([]byte, 60)}, 0)
		o.release(50)
		synctest.Wait()
		if len(done) > 0 {
			t.Error("what waits to be written counts")
		}
		frames, _ := o.take()
		o.written(frames.size, frames)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestFrames holds the frames against an implementation of others.
func TestFrames(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 100000}
	conn := framesFrom(t, func() []byte {
		var frames []byte
		for _, n := range sizes {
			frames = appendFrame(frames, opBinary, bytes.Repeat([]byte{byte(n)}, n))
		}
		frames = appendFrame(frames, opText, []byte("text"))
		frames = appendFrame(frames, opClose, closePayload(closeTryAgain, string(make([]byte, 500))))
		return frames
	})
	for _, n := range sizes {
		kind, b, err := conn.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage || !bytes.Equal(b, bytes.Repeat([]byte{byte(n)}, n)) {
			t.Fatalf("size %d: %d bytes of kind %d, %v", n, len(b), kind, err)
		}
	}
	if kind, b, err := conn.ReadMessage(); err != nil || kind != websocket.TextMessage || string(b) != "text" {
		t.Fatalf("%q of kind %d, %v", b, kind, err)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
		t.Fatalf("closed with %v", err)
	}
}

// framesFrom returns a client connected to a server that sends the frames.
func framesFrom(t *testing.T, frames func() []byte) *websocket.Conn {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.NetConn().Write(frames())
		_, _, _ = conn.ReadMessage() // until the client has gone
		_ = conn.Close()
	}))
	t.Cleanup(server.Close)
	conn, _, err := websocket.DefaultDialer.Dial("ws"+server.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestRoles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Roles{"": 0, "reader": Reader, " commander , reader": Reader | Commander, "admin": Admin} {
		if got, err := ParseRoles(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseRoles("reader,root"); err == nil {
		t.Error("root is a role")
	}
	if Commander.Has(Writer) || Writer.Has(Commander) || !Admin.Has(Writer) || !Writer.Has(Reader) || Roles(0).Has(Reader) || Commander.Has(Admin) {
		t.Error("roles include what they should not, or not what they should")
	}
	if all := Reader | Writer | Commander | Admin; all.String() != "reader,writer,commander,admin" {
		t.Errorf("all roles are %q", all)
	}
}

// es.info tells the version of FlatBuffers that go.mod selects.
func TestFlatBuffersVersion(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`github.com/google/flatbuffers v([0-9.]+)`).FindSubmatch(mod)
	if m == nil || string(m[1]) != flatbuffersVersion {
		t.Errorf("go.mod selects %s, es.info says %s", m, flatbuffersVersion)
	}
}

// The reason of a close frame is cut between characters: text that is not
// valid UTF-8 would fail the connection.
func TestCloseReason(t *testing.T) {
	t.Parallel()
	for pad := range 3 {
		reason := strings.Repeat("x", pad) + strings.Repeat("€", 100)
		payload := closePayload(closeNormal, reason)
		if text := string(payload[2:]); len(payload) > 125 || len(payload) < 123 || !strings.HasPrefix(reason, text) || !utf8.ValidString(text) {
			t.Errorf("pad %d: %d bytes, %q", pad, len(payload), payload)
		}
	}
}
