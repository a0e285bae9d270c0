package wampbus

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Silent clients are pinged once in an interval, and those that stay silent for
// two are ended; who was heard is left alone. Pings of those who joined at once
// come a few at a time.
func TestKeeper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const interval, sessions = 64 * time.Second, 160
		k := newKeeper(interval)
		b := &Bus{limits: Limits{Queue: 1 << 20, Shutdown: time.Second}, keeper: k, log: slog.New(slog.DiscardHandler)}
		member := func() *session {
			near, far := net.Pipe()
			t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
			s := newSession(b, near, codec.MessagePack, new(rawSocket), time.Now())
			s.heard()
			s.joined.Store(true)
			k.add(s)
			return s
		}
		pinged := func(s *session) bool {
			frames, _ := s.box.take()
			return frames.size > 0
		}
		silent, answering := make([]*session, sessions), member()
		for i := range silent {
			silent[i] = member()
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.run(ctx) }()
		const tick = interval / (keeperRounds * keeperParts)
		pings := make(map[*session]int)
		for now := time.Duration(0); now < 2*interval; now += tick {
			time.Sleep(tick)
			synctest.Wait()
			answering.heard()
			at := 0
			for _, s := range silent {
				if s.ctx.Err() == nil && pinged(s) {
					at++
					pings[s]++
				}
			}
			if at > sessions/keeperParts {
				t.Errorf("after %v, %d sessions were pinged at once", now, at)
			}
			if now == interval && len(pings) != sessions {
				t.Errorf("%d sessions were pinged in an interval, want %d", len(pings), sessions)
			}
		}
		time.Sleep(interval / keeperRounds)
		synctest.Wait()
		for _, s := range silent {
			if why := s.why.Load(); s.ctx.Err() == nil || why == nil {
				t.Error("a silent session goes on")
			}
			if pings[s] != 2 {
				t.Errorf("a silent session was pinged %d times", pings[s])
			}
		}
		if pinged(answering) || answering.ctx.Err() != nil {
			t.Error("a session that was heard was pinged or ended")
		}
		stop()
		<-done
	})
}
