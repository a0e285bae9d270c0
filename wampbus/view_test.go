package wampbus_test

import (
	"sync/atomic"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
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
