package interop

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	nexus "github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// nexusVariable has the test binary be the router project's own Go client, as
// it is, with nothing of ours in between: it takes the arguments of the scripts
// beside it, and obeys as conversation.js does.
const nexusVariable = "INTEROP_TEST_NEXUS"

func TestMain(m *testing.M) {
	if os.Getenv(nexusVariable) != "" {
		if err := runNexus(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// nexusClient is one conversation of nexus's client.
type nexusClient struct {
	*nexus.Client
	json bool // binaries are strings

	mu      sync.Mutex
	live    map[uint64][]byte
	arrived chan struct{}
}

func runNexus(url, realm, serializer string) error {
	serialization := map[string]serialize.Serialization{"json": serialize.JSON, "msgpack": serialize.MSGPACK, "cbor": serialize.CBOR}[serializer]
	c, err := nexus.ConnectNet(context.Background(), url, nexus.Config{Realm: realm, Serialization: serialization, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		return err
	}
	defer c.Close()
	n := &nexusClient{Client: c, json: serializer == "json", live: make(map[uint64][]byte), arrived: make(chan struct{}, 1)}
	if err := c.Subscribe("es.event.", n.receive, wamp.Dict{"match": "prefix"}); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var order struct {
			Call   string
			Args   []any
			Kwargs map[string]any
			Finish uint64
		}
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			return err
		}
		answer, err := n.obey(order.Call, order.Args, order.Kwargs, order.Finish)
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (n *nexusClient) receive(m *wamp.Event) {
	record, err := n.binary(m.Arguments[0])
	position, _ := wamp.AsInt64(m.ArgumentsKw["position"])
	if e, decodeErr := event.Decode(record); err != nil || decodeErr != nil || e.Position() != uint64(position) {
		log.Fatalf("the event at %d: %v, %v", position, err, decodeErr)
	}
	n.mu.Lock()
	n.live[uint64(position)] = record
	n.mu.Unlock()
	select {
	case n.arrived <- struct{}{}:
	default:
	}
}

func (n *nexusClient) obey(procedure string, args []any, kwargs map[string]any, finish uint64) (any, error) {
	if procedure == "" {
		return n.finish(finish)
	}
	outward, _ := n.outward(args).([]any)
	result, err := n.Call(context.Background(), procedure, nil, outward, kwargs, nil)
	var refused nexus.RPCError
	if errors.As(err, &refused) {
		return map[string]any{"error": refused.Err.Error, "kwargs": refused.Err.ArgumentsKw}, nil
	}
	if err != nil {
		return nil, err
	}
	answer := []any{}
	for _, v := range result.Arguments {
		if b, err := n.binary(v); err == nil {
			v = map[string]any{"binary": b}
		}
		answer = append(answer, v)
	}
	return map[string]any{"args": answer, "kwargs": result.ArgumentsKw}, nil
}

// finish waits for a position live, pages everything and reports.
func (n *nexusClient) finish(position uint64) (any, error) {
	for {
		n.mu.Lock()
		_, there := n.live[position]
		n.mu.Unlock()
		if there {
			break
		}
		<-n.arrived
	}
	var got report
	paged := sha256.New()
	for last, more := int64(0), true; more; got.Paged.Answers++ {
		result, err := n.Call(context.Background(), "es.read", nil, nil, wamp.Dict{"max_bytes": 4096, "after": last}, nil)
		if err != nil {
			return nil, err
		}
		page, err := n.binary(result.Arguments[0])
		if err != nil {
			return nil, err
		}
		for e, err := range (event.Page{Records: page}).Events() {
			if err != nil {
				return nil, err
			}
			paged.Write(e.Record())
			got.Paged.Count++
		}
		last, _ = wamp.AsInt64(result.ArgumentsKw["last"])
		more, _ = result.ArgumentsKw["more"].(bool)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	live, positions := sha256.New(), []uint64{}
	for at := range n.live {
		positions = append(positions, at)
	}
	slices.Sort(positions)
	for _, at := range positions {
		live.Write(n.live[at])
	}
	got.Live.Count, got.Live.First, got.Live.SHA256 = len(positions), positions[0], hex.EncodeToString(live.Sum(nil))
	got.Paged.SHA256 = hex.EncodeToString(paged.Sum(nil))
	return got, nil
}

// outward replaces {"binary": BASE64} by bytes, as this client sends them.
func (n *nexusClient) outward(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, e := range v {
			list = append(list, n.outward(e))
		}
		return list
	case map[string]any:
		text, ok := v["binary"].(string)
		if !ok {
			return v
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			log.Fatal(err)
		}
		if n.json {
			return serialize.BinaryData(b)
		}
		return b
	}
	return v
}

// binary is a binary as this client hands it out.
func (n *nexusClient) binary(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		if text, ok := strings.CutPrefix(v, "\x00"); ok {
			return base64.StdEncoding.DecodeString(text)
		}
	}
	return nil, fmt.Errorf("%T is no binary", v)
}
