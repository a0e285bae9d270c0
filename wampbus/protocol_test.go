package wampbus_test

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The conversation in PROTOCOL.md, sent and answered as it stands there.
func TestProtocolExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- conversation -->\n```\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/PROTOCOL.md has no conversation")
	}
	h := open(t, func(o *wampbus.Options) { o.Anonymous |= wampbus.Writer })
	w := h.connect(t, codec.JSON)
	sent := 0
	var awaited []any
	for line := range strings.Lines(block) {
		direction, message, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch direction {
		case "→":
			w.await(&awaited)
			w.sendBytes([]byte(message))
			sent++
		case "←":
			var m any
			if err := json.Unmarshal([]byte(message), &m); err != nil {
				t.Fatalf("%s: %v", message, err)
			}
			awaited = append(awaited, m)
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	w.await(&awaited)
	if sent < 8 {
		t.Errorf("only %d messages are sent: is the conversation all there?", sent)
	}
}

// await reads until each of the messages has come, in any order.
func (w *wire) await(messages *[]any) {
	w.t.Helper()
	for len(*messages) > 0 {
		_ = w.conn.SetReadDeadline(time.Now().Add(patience))
		kind, b, err := w.conn.ReadMessage()
		if err != nil || kind != websocket.TextMessage {
			w.t.Fatalf("%v: %v is still to come", err, *messages)
		}
		var got any
		if err := json.Unmarshal(b, &got); err != nil {
			w.t.Fatal(err)
		}
		i := slices.IndexFunc(*messages, func(want any) bool { return alike(want, got) })
		if i < 0 {
			w.t.Fatalf("got %s, want one of %v", b, *messages)
		}
		*messages = slices.Delete(*messages, i, i+1)
	}
}

// alike compares an answer with an example, where "…" stands for any value and
// "\x00…" for any binary.
func alike(want, got any) bool {
	switch want := want.(type) {
	case string:
		text, _ := got.(string)
		return want == "…" || want == "\x00…" && strings.HasPrefix(text, "\x00") || want == got
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(want, list, alike)
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok || len(fields) != len(want) {
			return false
		}
		for name, value := range want {
			v, there := fields[name]
			if !there || !alike(value, v) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}
