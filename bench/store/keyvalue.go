package main

import (
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/dgraph-io/badger/v4"
	"go.etcd.io/bbolt"
)

// The key-value stores get the payload under its stream and version.

type bolt struct {
	*bbolt.DB
	write func(func(*bbolt.Tx) error) error
}

var boltEvents = []byte("events")

func openBolt(batch bool) func(string) (store, error) {
	return func(dir string) (store, error) {
		db, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o600, nil)
		if err != nil {
			return nil, err
		}
		// A batch that all 64 appenders are in need not wait for more.
		db.MaxBatchSize, db.MaxBatchDelay = 64, time.Millisecond
		b := bolt{DB: db, write: db.Update}
		if batch {
			b.write = db.Batch
		}
		return b, db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucketIfNotExists(boltEvents)
			return err
		})
	}
}

func (b bolt) append(p post) error {
	return b.write(func(tx *bbolt.Tx) error { return tx.Bucket(boltEvents).Put(p.key(), p.payload) })
}

func (bolt) drain() error { return nil }

type pebbleStore struct{ *pebble.DB }

func openPebble(dir string) (store, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	return pebbleStore{db}, err
}

func (s pebbleStore) append(p post) error { return s.Set(p.key(), p.payload, pebble.Sync) }
func (s pebbleStore) drain() error        { return s.Flush() }

type badgerStore struct{ *badger.DB }

func openBadger(dir string) (store, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	return badgerStore{db}, err
}

func (s badgerStore) append(p post) error {
	return s.Update(func(tx *badger.Txn) error { return tx.Set(p.key(), p.payload) })
}

func (badgerStore) drain() error { return nil }

// silent is a logger for pebble.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, a ...any) {
	pebble.DefaultLogger.Fatalf(f, a...)
}
