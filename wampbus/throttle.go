package wampbus

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// How failed attempts to authenticate are slowed down: the first few are free,
// each one after that doubles the delay.
const (
	freeFailures = 3
	firstDelay   = 100 * time.Millisecond
	longestDelay = 2 * time.Second
	// freeTogether is how many attempts of one address or authid may be under
	// way before they count as failures: a program that connects again opens
	// many sessions at once.
	freeTogether = 16
	// forgetAfter is how long after the last one failures are forgotten.
	forgetAfter = 10 * time.Minute
	// maxFailed bounds how many addresses and authids are remembered.
	maxFailed = 4096
)

// throttle counts failed attempts, by address and by authid. Attempts from one
// address queue up behind each other, so that many connections try no more than
// one. Attempts for one authid are only delayed: others' failures shut nobody
// out.
type throttle struct {
	mu      sync.Mutex
	entries map[string]*failures
}

type failures struct {
	count int
	tried int // attempts under way
	last  time.Time
	next  time.Time // the earliest time of the next attempt, of an address
}

func (f *failures) delay() time.Duration {
	count := f.count + max(f.tried-freeTogether, 0)
	return delayAfter(count-freeFailures, longestDelay)
}

// delayAfter is the delay after so many more than are free.
func delayAfter(more int, longest time.Duration) time.Duration {
	if more < 0 {
		return 0
	}
	return min(firstDelay<<min(more, 10), longest)
}

// keys are under what an attempt counts. An authid that is not given is nobody's.
func keys(address, authID string) []string {
	if authID == "" {
		return []string{"at " + address}
	}
	return []string{"at " + address, "by " + authID}
}

// enter returns how long an attempt is to wait, which is under way from now on
// until leave, and false when so many wait already that it would take too long.
func (t *throttle) enter(now time.Time, address, authID string) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait time.Duration
	if f := t.get(now, "by "+authID); f != nil {
		wait = f.delay()
	}
	if f := t.get(now, "at "+address); f != nil && f.delay() > 0 {
		next := f.next
		if next.Before(now) {
			next = now
		}
		next = next.Add(f.delay())
		if next.Sub(now) > longestDelay {
			return 0, false
		}
		f.next = next
		wait = max(wait, next.Sub(now))
	}
	for _, key := range keys(address, authID) {
		t.entry(now, key).tried++
	}
	return wait, true
}

// leave ends an attempt.
func (t *throttle) leave(now time.Time, address, authID string, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys(address, authID) {
		f := t.get(now, key)
		if f == nil && !failed { // forgotten meanwhile
			continue
		}
		f = t.entry(now, key)
		f.tried = max(f.tried-1, 0)
		if failed {
			f.count++
			f.last = now
		}
		if f.count == 0 && f.tried == 0 {
			delete(t.entries, key)
		}
	}
}

// get returns what is remembered, nil when that is nothing any more.
func (t *throttle) get(now time.Time, key string) *failures {
	f := t.entries[key]
	if f != nil && now.Sub(f.last) > forgetAfter {
		delete(t.entries, key)
		return nil
	}
	return f
}

// entry returns what is remembered, or begins to.
func (t *throttle) entry(now time.Time, key string) *failures {
	f := t.get(now, key)
	if f == nil {
		t.makeRoom(now)
		f = &failures{last: now}
		if t.entries == nil {
			t.entries = make(map[string]*failures)
		}
		t.entries[key] = f
	}
	return f
}

// makeRoom forgets what is old, or else whoever failed least.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.entries) < maxFailed {
		return
	}
	least := ""
	for key, f := range t.entries {
		if now.Sub(f.last) > forgetAfter {
			delete(t.entries, key)
		} else if least == "" || f.count < t.entries[least].count {
			least = key
		}
	}
	if len(t.entries) >= maxFailed {
		delete(t.entries, least)
	}
}

// How sessions are slowed down that come from where others came which the bus
// ended for what they did: the first few are free, each one after that doubles
// the delay, up to Limits.Penalty. One is forgotten every second, so that an
// address is soon as good as others when they have stopped.
const (
	freeOffences = 16
	offenceFades = time.Second
	mostOffences = freeOffences + 10
)

// offences counts such sessions, by address.
type offences struct{ throttle }

// add counts one.
func (o *offences) add(now time.Time, address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.entry(now, address)
	f.fade(now)
	f.count = min(f.count+1, mostOffences)
}

// delay is how long a session is to wait before it joins, longest at most.
func (o *offences) delay(now time.Time, address string, longest time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.get(now, address)
	if f == nil {
		return 0
	}
	if f.fade(now); f.count == 0 {
		delete(o.entries, address)
	}
	return delayAfter(f.count-freeOffences, longest)
}

// fade forgets what is old.
func (f *failures) fade(now time.Time) {
	old := int(now.Sub(f.last) / offenceFades)
	f.count = max(f.count-old, 0)
	f.last = f.last.Add(time.Duration(old) * offenceFades)
}

// origin is what counts as one address: an IPv4 address, the network of an IPv6
// one, this machine's unix sockets.
func origin(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.Network()
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is6() {
		prefix, err := netip.AddrFrom16(ip.As16()).Prefix(64)
		if err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}
