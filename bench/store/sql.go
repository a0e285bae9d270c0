package main

import (
	"database/sql"
	"path/filepath"
	"time"

	"github.com/hallgren/eventsourcing/core"
	hallgren "github.com/hallgren/eventsourcing/eventstore/sql"
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// openDB opens SQLite as durable as it can be: with a WAL that is synced before
// a transaction is acknowledged.
func openDB(dir string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", filepath.Join(dir, "events.sqlite")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=60000")
	if err == nil {
		db.SetMaxOpenConns(1) // one writer at a time anyway: so they wait in order and don't poll
	}
	return db, err
}

type sqlite struct {
	*sql.DB
	insert *sql.Stmt
}

func openSQLite(dir string) (store, error) {
	db, err := openDB(dir)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(`CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (stream, version))`); err != nil {
		return nil, err
	}
	insert, err := db.Prepare(`INSERT INTO events (stream, version, data) VALUES (?, ?, ?)`)
	return sqlite{db, insert}, err
}

func (s sqlite) append(p post) error {
	_, err := s.insert.Exec(p.stream, p.version+1, p.payload)
	return err
}

func (sqlite) drain() error { return nil }

type hallgrenStore struct{ *hallgren.SQL }

func openHallgren(dir string) (store, error) {
	db, err := openDB(dir)
	if err != nil {
		return nil, err
	}
	s := hallgrenStore{hallgren.Open(db)}
	return s, s.Migrate()
}

func (s hallgrenStore) append(p post) error {
	return s.Save([]core.Event{{
		AggregateID: p.stream, AggregateType: "ledger", Version: core.Version(p.version + 1),
		Timestamp: time.Now(), Reason: "Posted", Data: p.payload,
	}})
}

func (hallgrenStore) drain() error { return nil }

func (s hallgrenStore) Close() error {
	s.SQL.Close()
	return nil
}
