package wampbus

import (
	"fmt"
	"net"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	var th throttle
	now := time.Unix(1, 0)
	enter := func(address, authID string, want time.Duration, ok bool) {
		t.Helper()
		if got, entered := th.enter(now, address, authID); got != want || entered != ok {
			t.Errorf("%s at %s waits %v, %v, want %v, %v", authID, address, got, entered, want, ok)
		}
	}
	for range freeFailures {
		enter("a", "ann", 0, true)
		th.leave(now, "a", "ann", true)
	}
	enter("a", "bob", firstDelay, true)
	enter("a", "bob", 2*firstDelay, true) // behind the other one
	enter("b", "ann", firstDelay, true)
	enter("b", "ann", firstDelay, true) // but nobody is shut out for what others did
	enter("b", "bob", 0, true)
	for range 100 {
		th.leave(now, "c", "cid", true)
	}
	enter("c", "bob", longestDelay, true)
	enter("c", "bob", 0, false)
	enter("d", "cid", longestDelay, true)
	now = now.Add(longestDelay)
	enter("c", "bob", longestDelay, true)
	now = now.Add(forgetAfter + time.Second)
	enter("c", "cid", 0, true)
	for i := range 3 * maxFailed {
		th.leave(now, fmt.Sprint(i), "many", true)
	}
	if n := len(th.entries); n > maxFailed {
		t.Errorf("%d are remembered", n)
	}
	if f := th.get(now, "by many"); f == nil || f.count != 3*maxFailed {
		t.Errorf("the worst was forgotten: %+v", f)
	}
}

// Attempts at once are held up like attempts in a row, beyond those that a
// program may need to connect again; success takes them back.
func TestThrottleTogether(t *testing.T) {
	t.Parallel()
	var th throttle
	now := time.Unix(1, 0)
	const free = freeTogether + freeFailures
	for range free {
		if wait, ok := th.enter(now, "a", "ann"); wait != 0 || !ok {
			t.Fatalf("it waits %v, %v", wait, ok)
		}
	}
	let := 0
	for range 1000 {
		if wait, ok := th.enter(now, "a", "ann"); ok {
			let++
			if wait < firstDelay {
				t.Errorf("it waits %v", wait)
			}
		}
	}
	if let == 0 || let > int(longestDelay/firstDelay) {
		t.Errorf("%d of a thousand more were let in", let)
	}
	for range free + let {
		th.leave(now, "a", "ann", false)
	}
	if len(th.entries) != 0 {
		t.Errorf("%d are remembered, and none has failed", len(th.entries))
	}
	if wait, ok := th.enter(now, "a", ""); wait != 0 || !ok {
		t.Errorf("it waits %v, %v", wait, ok)
	}
}

// What sessions were ended for slows others from the same address down, and is
// forgotten one a second.
func TestOffences(t *testing.T) {
	t.Parallel()
	var o offences
	now := time.Unix(1, 0)
	delays := func(address string, want time.Duration) {
		t.Helper()
		if got := o.delay(now, address, time.Second); got != want {
			t.Errorf("%s waits %v, want %v", address, got, want)
		}
	}
	for range freeOffences - 1 {
		o.add(now, "a")
	}
	delays("a", 0)
	for _, want := range []time.Duration{firstDelay, 2 * firstDelay, 4 * firstDelay, 8 * firstDelay, time.Second, time.Second} {
		o.add(now, "a")
		delays("a", want)
	}
	delays("b", 0)
	now = now.Add(2*offenceFades + offenceFades/2)
	delays("a", 8*firstDelay)
	o.add(now, "a")
	now = now.Add(offenceFades / 2) // the other half counts, too
	delays("a", 8*firstDelay)
	for range 1000 {
		o.add(now, "a")
	}
	now = now.Add((mostOffences - freeOffences + 1) * offenceFades)
	delays("a", 0)
	now = now.Add(mostOffences * offenceFades)
	delays("a", 0)
	if len(o.entries) != 0 {
		t.Errorf("%d are remembered, and none has done anything", len(o.entries))
	}
	for i := range maxFailed + 10 {
		o.add(now, fmt.Sprint(i))
	}
	if n := len(o.entries); n > maxFailed {
		t.Errorf("%d are remembered", n)
	}
}

func TestOriginOfAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "2001:db8:1:2:5::6": "2001:db8:1:2::/64", "2001:db8:1:3::": "2001:db8:1:3::/64",
	} {
		if got := origin(&net.TCPAddr{IP: net.ParseIP(address), Port: 5}); got != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
	if got := origin(&net.UnixAddr{Name: "@", Net: "unix"}); got != "unix" {
		t.Errorf("a unix socket counts as %s", got)
	}
}
