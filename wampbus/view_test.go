package wampbus_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// switchable are views of which another version, without indexes, serves until
// they are switched.
type switchable struct {
	*projection.Engine
	switched atomic.Bool
}

func (v *switchable) Views() []projection.Info {
	infos := v.Engine.Views()
	if !v.switched.Load() {
		for i := range infos {
			infos[i].Indexes = nil
		}
	}
	return infos
}

// A view is served by the version that it is switched to while the bus runs.
func TestViewIsSwitched(t *testing.T) {
	t.Parallel()
	views := new(switchable)
	h := open(t, func(o *wampbus.Options) {
		views.Engine = o.Views.(*projection.Engine)
		o.Views = views
	})
	h.deposit(t, "1", 1)
	w := h.join(t, codec.JSON)
	if e, ok := w.call("es.view.balances.by_owner", wamp.List{"ada"}, nil).(*wamp.Error); !ok || e.Error != "es.error.unknown" || e.ArgumentsKw["kind"] != "index" {
		t.Fatalf("by an index that the version does not have: %v", e)
	}
	views.switched.Store(true)
	r := w.result("es.view.balances.by_owner", wamp.List{"ada"}, wamp.Dict{"at_least": 1})
	if n := number(t, r.ArgumentsKw["count"]); n != 1 {
		t.Errorf("%d rows by the index of the other version, want 1", n)
	}
}

// A list is cut to the server's page and to what the client takes, between rows,
// and goes on behind its cursor to the last one, in either direction. A row that
// is alone longer comes alone.
func TestListIsCut(t *testing.T) {
	t.Parallel()
	const accounts, page, takes = 40, 600, 1 << 10
	h := open(t, func(o *wampbus.Options) { o.Limits.Page = page })
	roomy := open(t, nil)
	for _, house := range []*house{h, roomy} {
		for i := range accounts {
			house.deposit(t, fmt.Sprintf("%02d", i), 1)
		}
	}
	head := uint64(accounts)
	for _, f := range codec.Formats {
		for _, backward := range []bool{false, true} {
			all, err := roomy.dial(t, client.Options{}).ViewList(deadline(t), "balances", client.Range{Backward: backward}, client.ViewOptions{AtLeast: head})
			if err != nil || all.Count != accounts || all.Cursor != "" {
				t.Fatalf("the whole list: %d rows, %v", all.Count, err)
			}
			small := client.Options{Serialization: f.String(), MaxMessage: takes}
			for name, c := range map[string]struct {
				*client.Client
				most int
			}{
				"server's page": {h.dial(t, client.Options{Serialization: f.String()}), page},
				"client's":      {roomy.dialRaw(t, "rs", nil, small), takes},
			} {
				var rows []byte
				answers, r := 0, client.Range{Backward: backward}
				for more := true; more; answers++ {
					got, err := c.ViewList(deadline(t), "balances", r, client.ViewOptions{AtLeast: head})
					if err != nil {
						t.Fatalf("%v, %s: %v", f, name, err)
					}
					if len(got.Data) > c.most || got.Count == 0 {
						t.Errorf("%v, %s: an answer of %d rows and %d bytes", f, name, got.Count, len(got.Data))
					}
					rows = append(rows, got.Data...)
					r.Cursor, more = got.Cursor, got.Cursor != ""
				}
				if !bytes.Equal(rows, all.Data) || answers < 3 {
					t.Errorf("%v, %s: %d bytes of rows in %d answers, want %d", f, name, len(rows), answers, len(all.Data))
				}
			}
		}
	}
	long := open(t, func(o *wampbus.Options) { o.Limits.Page = 1 })
	long.deposit(t, "1", 1)
	long.deposit(t, "2", 1)
	got, err := long.dial(t, client.Options{}).ViewList(deadline(t), "balances", client.Range{}, client.ViewOptions{AtLeast: 2})
	if err != nil || got.Count != 1 || got.Cursor == "" {
		t.Errorf("rows longer than the page: %d with cursor %q, %v", got.Count, got.Cursor, err)
	}
}
