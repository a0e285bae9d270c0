package wampbus_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Pages are put together in memory that was another's page before: whoever asks
// for many, with several calls in flight, in any format, gets the log's bytes.
func TestPagesAreTheLogs(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	for i := range 40 {
		memo := strings.Repeat(string(rune('a'+i%26)), 3000+100*i)
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{
			account.NewCredited(account.CreditedFields{Amount: int64(i), Memo: memo}),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	var log []byte
	ends := []int{0}
	for _, e := range h.events(t) {
		log = append(log, e.Record()...)
		ends = append(ends, len(log))
	}
	const calls, inFlight = 200, 4
	var reading sync.WaitGroup
	for i, f := range append(codec.Formats, codec.MessagePack, codec.CBOR) {
		w := h.join(t, f)
		random := rand.New(rand.NewPCG(uint64(i), 1))
		reading.Go(func() {
			after := make(map[wamp.ID]int)
			ask := func(id wamp.ID) {
				after[id] = random.IntN(40)
				// Some pages are small, and copied.
				w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": after[id], "max_bytes": 5000 << random.IntN(6)}})
			}
			for id := range wamp.ID(inFlight) {
				ask(id + 1)
			}
			for answers := range calls {
				m, err := w.next()
				result, ok := m.(*wamp.Result)
				if err != nil || !ok {
					t.Errorf("%v: %v, %v", f, m, err)
					return
				}
				page, _ := result.Arguments[0].([]byte)
				from := ends[after[result.Request]]
				if len(page) == 0 || !bytes.HasPrefix(log[from:], page) {
					t.Errorf("%v: the page behind %d, of %d bytes, is not the log's", f, after[result.Request], len(page))
					return
				}
				if answers+inFlight < calls {
					ask(wamp.ID(answers + inFlight + 1))
				}
			}
		})
	}
	reading.Wait()
}
