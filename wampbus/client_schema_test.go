package wampbus_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The client's schemas, over every serialization: what there is, each by type
// and by fingerprint, a new one, one that breaks, and who may register.
func TestClientSchemas(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			h := open(t, administrated)
			c := h.dial(t, client.Options{Serialization: f.String()})
			info, err := c.Info(deadline(t))
			if err != nil || info.Store != h.store.StoreID() || info.Protocol != 1 || info.RecordFormat != 1 || info.FlatBuffers == "" ||
				info.MaxRecord != event.MaxRecord || info.MaxPage != 1<<20 || !slices.Contains(info.Roles, "admin") {
				t.Errorf("info: %+v, %v", info, err)
			}
			types, err := c.Schemas(deadline(t))
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(types, func(s client.SchemaType) bool { return s.Type == account.OpenedType })
			if at < 0 || types[at].Role != "event" || types[at].Aggregate == "" {
				t.Fatalf("the schemas are %+v", types)
			}
			bfbs, fingerprint, err := c.Schema(deadline(t), account.OpenedType)
			if err != nil || fingerprint != types[at].Fingerprint || !bytes.Equal(bfbs, account.Schema[0].BFBS) {
				t.Errorf("by type: %d bytes, %x, %v", len(bfbs), fingerprint, err)
			}
			if again, err := c.SchemaByFingerprint(deadline(t), fingerprint); err != nil || !bytes.Equal(again, bfbs) {
				t.Errorf("by fingerprint: %d bytes, %v", len(again), err)
			}
			var unknown *event.UnknownError
			if _, _, err := c.Schema(deadline(t), "no.Such"); !errors.As(err, &unknown) || unknown.Kind != "schema" {
				t.Errorf("a schema that is not there: %v", err)
			}
			for range 2 { // the second time nothing changes
				if findings, err := c.Register(deadline(t), version(t, "later.bfbs")); err != nil || len(findings) > 0 {
					t.Errorf("register: %v, %v", findings, err)
				}
			}
			var broken *compat.IncompatibleError
			findings, err := c.Register(deadline(t), version(t, "broken.bfbs"))
			want, _ := h.store.Register(deadline(t), version(t, "broken.bfbs"))
			for i := range want {
				want[i].Against = 0 // which is not told
			}
			if !errors.As(err, &broken) || len(want) == 0 || !reflect.DeepEqual(findings, want) || !reflect.DeepEqual(broken.Findings, want) {
				t.Errorf("one that breaks: %v, %v, want %v", findings, err, want)
			}
		})
	}
	h := open(t, func(o *wampbus.Options) { o.Anonymous = wampbus.Writer })
	if _, err := h.dial(t, client.Options{}).Register(deadline(t), version(t, "later.bfbs")); !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("a writer registers: %v", err)
	}
}
