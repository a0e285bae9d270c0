package client

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// talking is a link to a server that is heard now and then.
type talking struct {
	dial.Link
	heard atomic.Pointer[time.Time]
	pings atomic.Int64
}

func (l *talking) hear() { now := time.Now(); l.heard.Store(&now) }

func (l *talking) Silent() time.Duration { return time.Since(*l.heard.Load()) }
func (l *talking) Ping() error           { l.pings.Add(1); return nil }

// A server is pinged when it has been silent for a time, and not while it talks:
// many clients' pings would cost it more than its own.
func TestPingsOnlySilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		link := new(talking)
		link.hear()
		s := &session{link: link, done: make(chan struct{})}
		const after = 50 * time.Second
		over := make(chan struct{})
		go func() { defer close(over); s.keepAlive(after) }()
		for range 30 {
			time.Sleep(after - time.Second)
			synctest.Wait()
			link.hear()
		}
		if n := link.pings.Load(); n != 0 {
			t.Errorf("a server that talks was pinged %d times", n)
		}
		time.Sleep(after - time.Second)
		synctest.Wait()
		if n := link.pings.Load(); n != 0 {
			t.Errorf("pinged %d times, too early", n)
		}
		for want := int64(1); want <= 3; want++ {
			time.Sleep(after)
			synctest.Wait()
			if n := link.pings.Load(); n != want {
				t.Errorf("pinged %d times, want %d", n, want)
			}
		}
		close(s.done)
		<-over
	})
}
