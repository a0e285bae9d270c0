package eventstore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// indexed returns records as the committer seals them, of one type and with one
// tag each, for the index alone.
type indexed struct {
	random   *rand.Rand
	streams  int
	versions []uint64
	position uint64
}

func (x *indexed) event(b *testing.B) event.Event {
	b.Helper()
	n := x.random.IntN(x.streams)
	x.versions[n]++
	x.position++
	a := event.Append{Stream: fmt.Sprintf("account-%d", n), Events: []event.Proposed{{Type: "bank.account.Deposited", Data: make([]byte, 8)}}}
	record, err := event.BuildRecord(&a, 0, 1, []string{fmt.Sprintf("owner:%d", x.random.IntN(1000))})
	if err != nil {
		b.Fatal(err)
	}
	var id event.ID
	if err := id.SetTime(uint64(time.Now().UnixMilli())); err != nil {
		b.Fatal(err)
	}
	for i := range 8 {
		id[8+i] = byte(x.position >> (56 - 8*i))
	}
	event.Seal(record, id, x.position, x.versions[n])
	return event.Trusted(record)
}

// BenchmarkIndex has the index take up a million events, in transactions of
// 50,000, and says how large it is: with one stream, one type, one tag and one
// category an event.
func BenchmarkIndex(b *testing.B) {
	for _, streams := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("streams-%d", streams), func(b *testing.B) {
			const events = 1_000_000
			for b.Loop() {
				b.StopTimer()
				x, err := openIndex(b.TempDir(), lmdbenv.Options{})
				if err != nil {
					b.Fatal(err)
				}
				source := &indexed{random: rand.New(rand.NewPCG(1, 2)), streams: streams, versions: make([]uint64, streams)}
				for source.position < events {
					h := harvest{chunks: []*chunk{newChunk(source.position)}, after: source.position}
					for range applyEvents {
						h.chunks[0].addOne(source.event(b))
					}
					h.to = h.chunks[0].last()
					b.StartTimer()
					if err := x.store(event.ID{1}, &h); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
				}
				b.ReportMetric(float64(fileBytes(b, x.env))/events, "B/event")
				if err := x.env.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
		})
	}
}

func fileBytes(b *testing.B, env *lmdbenv.Env) int64 {
	b.Helper()
	sizes, err := env.Sizes()
	if err != nil {
		b.Fatal(err)
	}
	return sizes.Used
}
