package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
)

// wakes measures how long after an append is durable, and its caller goes on, a
// subscriber that waits for it is in its handler: one append at a time, nothing
// else happening. An append that the subscriber has before its caller took no
// time.
func (g *grower) wakes(ctx context.Context) error {
	const times = 2000
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head, err := g.store.Head(ctx)
	if err != nil {
		return err
	}
	const stream = "waited-1"
	waiting, handled := make(chan struct{}), make(chan time.Time)
	failed := make(chan error, 1)
	go func() {
		o := event.SubscribeOptions{CaughtUp: func(uint64) { close(waiting) }}
		for _, err := range g.store.Subscribe(ctx, event.Selection{Stream: stream, After: head.Position}, o) {
			if err != nil {
				failed <- err
				return
			}
			handled <- time.Now()
		}
	}()
	<-waiting
	after, whole := make([]time.Duration, 0, times), make([]time.Duration, 0, times)
	for range times {
		idle := time.NewTimer(time.Millisecond)
		<-idle.C // until the subscriber waits again
		start := time.Now()
		a := event.Append{Stream: stream, Events: []event.Proposed{ledger.NewPosted(g.account(), ledger.PostedFields{Payload: g.payload})}}
		done := make(chan time.Time, 1)
		go func() {
			if _, err := g.store.Append(ctx, a); err != nil {
				failed <- err
			}
			done <- time.Now()
		}()
		select {
		case at := <-handled:
			after, whole = append(after, max(0, at.Sub(<-done))), append(whole, at.Sub(start))
		case err := <-failed:
			return fmt.Errorf("subscriber: %w", err)
		}
	}
	slices.Sort(after)
	slices.Sort(whole)
	part := func(of []time.Duration, n int) time.Duration { return of[len(of)*n/100].Round(100 * time.Nanosecond) }
	fmt.Printf("\nfrom the end of an append to the handler of a subscriber that waits, %d times: p50 %v, p99 %v; from its beginning: p50 %v, p99 %v\n",
		times, part(after, 50), part(after, 99), part(whole, 50), part(whole, 99))
	return nil
}
