package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
)

// killed has another process append to the store as fast as it can, kills it, and
// opens what it left.
func (g *grower) killed() error {
	const times, load = 3, 5 * time.Second
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range times {
		child := exec.Command(self, "appends", g.dir)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		time.Sleep(load)
		if err := child.Process.Kill(); err != nil {
			return err
		}
		var exit *exec.ExitError
		if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
			return fmt.Errorf("the process that appends ended before it was killed: %w", err)
		}
		start := time.Now()
		if err := g.open(); err != nil {
			return err
		}
		took := time.Since(start)
		fmt.Printf("opened after kill -9, %v into batches of 1000 from 4 appenders, in %v, with %d events\n", load, took.Round(time.Millisecond), g.store.Stats().Head)
		if err := g.store.Close(); err != nil {
			return err
		}
	}
	return nil
}

// runAppends appends to a store until it is killed.
func runAppends(args []string) error {
	if len(args) != 1 {
		return errors.New("appends: give the store's directory")
	}
	g := &grower{growOptions: growOptions{dir: args[0]}}
	if err := g.open(); err != nil {
		return err
	}
	const appenders, batch = 4, 1000
	var appending sync.WaitGroup
	failed := make(chan error, appenders)
	for n := range appenders {
		appending.Go(func() {
			for {
				events := make([]event.Proposed, batch)
				for i := range events {
					events[i] = ledger.NewPosted("account-1", ledger.PostedFields{Payload: make([]byte, 256)})
					events[i].Stream = fmt.Sprintf("ledger-%d", n*batch+i)
				}
				if _, err := g.store.Append(context.Background(), event.Append{Events: events}); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	appending.Wait()
	return <-failed
}
