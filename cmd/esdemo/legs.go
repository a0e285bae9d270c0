package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// liveLeg hashes what a subscriber receives, on a connection of its own.
type liveLeg struct {
	client *client.Client
	tamper func([]byte) []byte

	mu        sync.Mutex
	hash      *recordHash
	ahead     map[uint64]event.Event // received before the one that belongs in front
	delivered uint64
	repaired  uint64
	err       error
	moved     chan struct{} // holds a token when something was received
}

// patience is how long the live leg may stand still before it repairs.
const patience = 5 * time.Second

func (d *demo) subscribe(ctx context.Context) (*liveLeg, error) {
	c, err := dial(ctx, d.url)
	if err != nil {
		return nil, err
	}
	l := &liveLeg{client: c, tamper: d.tamper.live, hash: newRecordHash(), ahead: map[uint64]event.Event{}, moved: make(chan struct{}, 1)}
	if _, err := c.SubscribeTopic(ctx, "es.event.", client.Prefix, l.receive); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return l, nil
}

func (l *liveLeg) close() error { return l.client.Close() }

// receive takes one EVENT.
func (l *liveLeg) receive(m client.Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(changed(l.tamper, m.Event))
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

func (l *liveLeg) add(e event.Event) {
	if e.Position() <= l.hash.last || !l.ahead[e.Position()].IsZero() {
		l.err = fmt.Errorf("position %d came twice", e.Position())
		return
	}
	l.ahead[e.Position()] = e
	l.delivered++
	l.drain()
}

func (l *liveLeg) drain() {
	for e := l.ahead[l.hash.last+1]; !e.IsZero(); e = l.ahead[l.hash.last+1] {
		delete(l.ahead, e.Position())
		l.hash.add(e)
	}
}

// finish waits until everything up to head was received. What does not come is
// read from the log, as the protocol recommends, and counted as repaired.
func (l *liveLeg) finish(ctx context.Context, c *client.Client, head uint64) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		if done, err := l.at(head); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.moved:
			timeout.Reset(patience)
		case <-timeout.C:
			return l.repair(ctx, c, head)
		}
	}
}

func (l *liveLeg) at(head uint64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hash.last >= head, l.err
}

func (l *liveLeg) repair(ctx context.Context, c *client.Client, head uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e, err := range event.Read(ctx, c, event.Selection{After: l.hash.last}) {
		if err != nil {
			return err
		}
		if l.drain(); e.Position() == l.hash.last+1 {
			l.hash.add(e)
			l.repaired++
		}
	}
	if l.drain(); l.hash.last < head {
		return fmt.Errorf("repaired up to %d of %d only", l.hash.last, head)
	}
	return l.err
}

// replay pages through the whole log on a connection of its own, hashes the
// bytes as received and folds the balances by itself.
func (d *demo) replay(ctx context.Context) (fold, error) {
	c, err := dial(ctx, d.url)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	hash, balances := newRecordHash(), fold{}
	for e, err := range event.Read(ctx, c, event.Selection{}) {
		if err != nil {
			return nil, err
		}
		if err := balances.apply(e); err != nil {
			return nil, err
		}
		if e = changed(d.tamper.replayed, e); !hash.add(e) {
			d.disagree("replay: position %d came after %d", e.Position(), hash.last)
		}
	}
	d.ReplaySHA256 = hash.String()
	return balances, nil
}

// hashStored hashes the log of the closed store straight from LMDB: key order
// is position order.
func (d *demo) hashStored() error {
	env, err := lmdbenv.Open(filepath.Join(d.dir, "data", "log"), lmdbenv.Options{Kind: "verbatim.log", Format: 1, ReadOnly: true})
	if err != nil {
		return err
	}
	defer env.Close()
	db, err := env.OpenDB("log")
	if err != nil {
		return err
	}
	hash := newRecordHash()
	err = env.View(func(txn *lmdbenv.Txn) error {
		cursor, err := txn.OpenCursor(db)
		if err != nil {
			return err
		}
		defer cursor.Close()
		for {
			key, record, err := cursor.Get(nil, nil, lmdbenv.Next)
			if lmdbenv.IsNotFound(err) {
				return nil
			} else if err != nil {
				return err
			}
			e, err := event.Decode(record)
			if err != nil {
				return err
			}
			if id := e.ID(); !bytes.Equal(key, id[:]) {
				d.disagree("log: the record at key %x has the id %s", key, id)
			}
			if !hash.add(changed(d.tamper.stored, e)) {
				d.disagree("log: position %d follows %d", e.Position(), hash.last)
			}
		}
	})
	d.LogSHA256 = hash.String()
	if hash.last != d.Events {
		d.disagree("the log holds %d events, its head said %d", hash.last, d.Events)
	}
	return err
}

// changed returns the event on bytes that a test has changed.
func changed(tamper func([]byte) []byte, e event.Event) event.Event {
	if tamper == nil {
		return e
	}
	return event.Trusted(tamper(bytes.Clone(e.Record())))
}
