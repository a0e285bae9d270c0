package wampbus

import (
	"context"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// A keeper goes through all sessions keeperRounds times in an interval of pings,
// a keeperParts-th at a time.
const (
	keeperRounds = 4
	keeperParts  = 16
)

// keeper looks after silent sessions: it pings them, and ends those that stay
// silent. What wakes an idle process costs more than what it then does, and a
// timer for each session wakes it for each. The keeper's one pings as many as are
// due, and those that joined at once are not all due at once.
type keeper struct {
	interval time.Duration // of pings
	began    time.Time

	mu    sync.Mutex
	next  int
	parts [keeperParts]map[*session]struct{}
}

func newKeeper(interval time.Duration) *keeper {
	k := &keeper{interval: interval, began: time.Now()}
	for i := range k.parts {
		k.parts[i] = make(map[*session]struct{})
	}
	return k
}

// now is the time by which sessions are heard.
func (k *keeper) now() time.Duration { return time.Since(k.began) }

// add takes a session into its care, and returns the part that it is in.
func (k *keeper) add(s *session) (part int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	part = k.next
	k.next = (k.next + 1) % keeperParts
	k.parts[part][s] = struct{}{}
	return part
}

func (k *keeper) remove(s *session, part int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.parts[part], s)
}

// run looks after the sessions until ctx ends.
func (k *keeper) run(ctx context.Context) {
	ticks := time.NewTicker(max(k.interval/(keeperRounds*keeperParts), time.Millisecond))
	defer ticks.Stop()
	for part := 0; ; part = (part + 1) % keeperParts {
		select {
		case <-ticks.C:
			k.tend(part)
		case <-ctx.Done():
			return
		}
	}
}

func (k *keeper) tend(part int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	for s := range k.parts[part] {
		s.tend(now)
	}
}

// tend pings a client that has been silent almost for the interval, since the
// keeper comes again only when it is over, and ends one that was for two. Before
// it has joined, the handshake's deadline stands.
func (s *session) tend(now time.Duration) {
	interval := s.bus.keeper.interval
	due := interval - interval/keeperRounds
	switch silent := now - time.Duration(s.heardAt.Load()); {
	case !s.joined.Load() || silent < due:
	case silent >= 2*interval:
		s.end(wamp.ErrNetworkFailure, closeGoingAway, "nothing was heard for two keepalive intervals")
	case now-s.pingedAt >= due:
		s.pingedAt = now
		s.put(framePing, codec.Parts{}, 0)
	}
}

// heard says that the client has been: what it sends, or takes, shows that it is
// there.
func (s *session) heard() { s.heardAt.Store(int64(s.bus.keeper.now())) }
