package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/wampbus"
)

// runLatency measures from an append's acknowledgement to the arrival of its
// event at a subscriber over the loopback interface, one at a time.
func runLatency(args []string) error {
	flags := flag.NewFlagSet("latency", flag.ContinueOnError)
	events := flags.Int("events", 2000, "events to append")
	dir := flags.String("dir", os.TempDir(), "where the store is put")
	if err := flags.Parse(args); err != nil {
		return err
	}
	d, err := os.MkdirTemp(*dir, "latency-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(d)
	store, err := eventstore.Open(d, eventstore.Options{Schemas: ledger.Schema})
	if err != nil {
		return err
	}
	bus, err := wampbus.New(wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Reader})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = bus.ServeWebSocket(context.Background(), l) }()
	s, err := join(l.Addr().String())
	if err != nil {
		return err
	}
	if err := s.follow(topic); err != nil {
		return err
	}
	took := make([]float64, 0, *events)
	buffer := make([]byte, 64<<10)
	for range *events {
		if _, err := store.Append(context.Background(), event.Append{Stream: "ledger-1", Events: []event.Proposed{ledger.NewPosted("account", ledger.PostedFields{Payload: make([]byte, 256)})}}); err != nil {
			return err
		}
		acknowledged := time.Now()
		if err := s.skip(buffer); err != nil {
			return err
		}
		took = append(took, float64(time.Since(acknowledged).Microseconds()))
		time.Sleep(2 * time.Millisecond) // idle in between
	}
	fmt.Printf("acknowledgement to delivery, one idle subscriber, %d events: p50 %.0f µs, p99 %.0f µs\n", *events, quantile(took, 0.5), quantile(took, 0.99))
	return errors.Join(s.conn.Close(), bus.Close(), store.Close())
}
