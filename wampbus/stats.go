package wampbus

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Stats are counters since the bus was made, and gauges as of now.
type Stats struct {
	// Sessions is how many clients are connected, Joined how many ever joined
	// the realm.
	Sessions int
	Joined   uint64
	// SessionsBy are the clients connected by transport, "websocket" or
	// "rawsocket".
	SessionsBy map[string]int
	// LoginsFailed counts failed attempts to log in, by method;
	// LoginsThrottled those that were delayed or refused for earlier failures.
	LoginsFailed    map[string]uint64
	LoginsThrottled uint64
	// Ended is how many sessions the bus ended itself: too slow, against the
	// protocol, silent. Delayed is how many had to wait before they joined, since
	// others from their address were ended for what they did.
	Ended   uint64
	Delayed uint64
	// CallsInFlight is how many calls are being served, CallsRefused how many
	// were not because their session, or all together, had too many in flight.
	CallsInFlight int
	CallsRefused  uint64
	// Calls counts calls served, by procedure and outcome.
	Calls map[Call]uint64
	// Published is how many events were published, PublishedPosition the
	// position of the last one.
	Published         uint64
	PublishedPosition uint64
	// BytesOut is how many bytes were written to clients.
	BytesOut uint64
	// QueueBytes is how many bytes wait to be written to all clients, and
	// QueueHigh the most that ever waited for one.
	QueueBytes int
	QueueHigh  int
}

// Call is a kind of call in [Stats].
type Call struct {
	// Procedure is the procedure's URI, or for a family of them its prefix:
	// "es.command.", "es.view.", and "es." for those that do not exist.
	Procedure string
	// Outcome is "ok" or the error's URI.
	Outcome string
}

type stats struct {
	throttled, joined, ended, delayed, refused, published, publishedPosition, bytesOut atomic.Uint64

	mu     sync.Mutex
	calls  map[Call]uint64
	logins map[string]uint64 // failed, by method
	high   int
}

func (s *stats) loginFailed(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins[method]++
}

func (s *stats) called(procedure string, err error) {
	c := Call{Procedure: procedure, Outcome: "ok"}
	if err != nil {
		uri, _ := errorFacts(err)
		c.Outcome = string(uri)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[c]++
}

func (s *stats) sessionEnded(of *session) {
	_, high := of.box.waiting()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.high = max(s.high, high)
}

// Stats returns what the bus has done and is doing.
func (b *Bus) Stats() Stats {
	s := Stats{
		SessionsBy: make(map[string]int), LoginsThrottled: b.stats.throttled.Load(),
		Joined: b.stats.joined.Load(), Ended: b.stats.ended.Load(), Delayed: b.stats.delayed.Load(),
		Published: b.stats.published.Load(), PublishedPosition: b.stats.publishedPosition.Load(),
		BytesOut: b.stats.bytesOut.Load(), CallsInFlight: int(b.calls.Load()), CallsRefused: b.stats.refused.Load(),
	}
	b.stats.mu.Lock()
	s.Calls, s.LoginsFailed, s.QueueHigh = maps.Clone(b.stats.calls), maps.Clone(b.stats.logins), b.stats.high
	b.stats.mu.Unlock()
	for _, client := range b.sessions.all() {
		waiting, high := client.box.waiting()
		s.Sessions++
		s.SessionsBy[client.transport.name()]++
		s.QueueBytes += waiting
		s.QueueHigh = max(s.QueueHigh, high)
	}
	return s
}
