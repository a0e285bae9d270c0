package codec

import (
	"encoding/json"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"google.golang.org/protobuf/proto"

	"github.com/verbatim-es/verbatim/bench/codec/payment"
	"github.com/verbatim-es/verbatim/bench/codec/paymentpb"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

func newPaid() event.Proposed {
	return payment.NewPaid(sample.Account, sample.Reference, payment.PaidFields{
		Amount: sample.Amount, Currency: sample.Currency, At: sample.At, Settled: sample.Settled,
	})
}

func newMessage() *paymentpb.Paid {
	return &paymentpb.Paid{
		Account: sample.Account, Reference: sample.Reference, Amount: sample.Amount,
		Currency: uint32(sample.Currency), At: sample.At, Settled: sample.Settled,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// record is the event in a record, read in place.
func record() event.Event {
	p := newPaid()
	bytes := must(event.BuildRecord(&event.Append{Stream: "payment-1", Events: []event.Proposed{p}}, 0, p.Schema, nil))
	event.Seal(bytes, event.ID{1}, 1, 1)
	return event.Trusted(bytes)
}

// codecs encode the sample, and decode it and return what they read.
var codecs = []struct {
	name   string
	encode func() []byte
	decode func([]byte) paid
}{
	{"protobuf", func() []byte { return must(proto.Marshal(newMessage())) }, func(b []byte) paid {
		var m paymentpb.Paid
		must(0, proto.Unmarshal(b, &m))
		return paid{m.Account, m.Reference, m.Amount, uint16(m.Currency), m.At, m.Settled}
	}},
	{"msgpack", func() []byte { return must(msgpack.Marshal(&sample)) }, func(b []byte) (p paid) {
		must(0, msgpack.Unmarshal(b, &p))
		return p
	}},
	{"json", func() []byte { return must(json.Marshal(&sample)) }, func(b []byte) (p paid) {
		must(0, json.Unmarshal(b, &p))
		return p
	}},
}

// read reads every field in place.
func read(e payment.Paid) paid {
	return paid{e.Account(), e.Reference(), e.Amount(), e.Currency(), e.At(), e.Settled()}
}

// All codecs are asked for the same, and do it.
func TestCodecsAgree(t *testing.T) {
	t.Parallel()
	e, ok := payment.AsPaid(record())
	if !ok || read(e) != sample {
		t.Errorf("verbatim: %+v", read(e))
	}
	t.Logf("verbatim: %d bytes, its record %d", len(newPaid().Data), len(record().Record()))
	for _, c := range codecs {
		encoded := c.encode()
		if got := c.decode(encoded); got != sample {
			t.Errorf("%s: %+v", c.name, got)
		}
		t.Logf("%s: %d bytes", c.name, len(encoded))
	}
}

var sink int

func BenchmarkBuild(b *testing.B) {
	b.Run("verbatim", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(newPaid().Data)), "bytes")
		for b.Loop() {
			sink += len(newPaid().Data)
		}
	})
	for _, c := range codecs {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(len(c.encode())), "bytes")
			for b.Loop() {
				sink += len(c.encode())
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	b.Run("verbatim", func(b *testing.B) {
		ev := record()
		b.ReportAllocs()
		for b.Loop() {
			e, _ := payment.AsPaid(ev)
			p := read(e)
			sink += len(p.Account)
		}
	})
	for _, c := range codecs {
		b.Run(c.name, func(b *testing.B) {
			encoded := c.encode()
			b.ReportAllocs()
			for b.Loop() {
				p := c.decode(encoded)
				sink += len(p.Account)
			}
		})
	}
}

// BenchmarkVerify is what bytes from outside cost before they are read.
func BenchmarkVerify(b *testing.B) {
	data := newPaid().Data
	b.Run("plan", func(b *testing.B) {
		plan := must(verify.CompileBFBS(payment.Schema[0].BFBS, payment.PaidType))
		b.ReportAllocs()
		for b.Loop() {
			must(0, plan.VerifyExact(data))
		}
	})
	b.Run("set", func(b *testing.B) {
		set := must(schema.Load(payment.Schema))
		b.ReportAllocs()
		for b.Loop() {
			must(0, set.Verify(payment.PaidType, 0, data))
		}
	})
}
