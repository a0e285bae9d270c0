//go:build cgo

package lmdbenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// ErrClosed means that the environment was closed.
var ErrClosed = errors.New("environment is closed")

// ErrReadOnly means that the environment was opened for reading only.
var ErrReadOnly = errors.New("environment is open for reading only")

const (
	// DefaultMapSize is address space, not memory or disk: a file grows with
	// what is in it.
	DefaultMapSize     = 1 << 40
	defaultMaxDBs      = 16
	defaultReaderCheck = time.Minute

	// maxReaders is the size of the reader table, 64 bytes each, which other
	// processes use too; ownReaders is what this one reads with at once at most.
	// Idle readers take maxFree more for each Env.
	maxReaders = 4096
	ownReaders = 384
)

// Options of an environment. Kind and Format are needed.
type Options struct {
	// Kind says what the environment is, "verbatim.log"; Format is the newest
	// format that is read, and the one of a new environment. It starts at 1.
	Kind   string
	Format uint32
	// Oldest is the oldest format that is read; 0 means all.
	Oldest uint32
	// MapSize is the largest size the data may ever reach; 0 means
	// [DefaultMapSize]. It is reserved at open and costs nothing by itself.
	MapSize int64
	// MaxDBs is the largest number of named databases; 0 means 16.
	MaxDBs int
	// ReadOnly opens an existing environment beside a live writer, in this or in
	// another process. Updates are refused.
	ReadOnly bool
	// NoLock, with ReadOnly, enters no readers into the environment's table. It
	// is safe only while nobody writes, which the caller sees to with
	// [LockShared]: a writer that knows of no reader reuses the pages it reads.
	NoLock bool
	// ReaderCheck is how often readers of dead processes are cleared, which
	// would otherwise keep pages from being reused for ever; 0 means a minute.
	ReaderCheck time.Duration
}

// Env is an open environment. Its methods are safe for concurrent use.
type Env struct {
	dir      string
	env      *shared
	readOnly bool
	main     DBI
	meta     DBI
	created  bool

	mu     sync.Mutex
	free   []*Txn // reset readers, to be renewed
	active int    // readers and updates in flight
	closed bool
	idle   sync.Cond // active became 0

	stop chan struct{} // ends the reader check
	done chan struct{} // it has ended
}

// Open opens the environment in dir, and makes it when there is none. The
// directory is created with mode 0700, the files with 0600, and both are
// synced into their directories before Open returns.
//
// An environment of another kind fails with [ErrForeign], one of a format
// that is too new or too old with a [*FormatError], a data file that is cut off
// with a [*DamagedError]; none of them is changed, and nothing is put beside it.
// Who opens one to write takes the [Lock] of its directory first; a reader may
// open what this process has open already.
func Open(dir string, o Options) (*Env, error) {
	if o.Kind == "" || o.Format == 0 {
		return nil, errors.New("lmdbenv: options need a kind and a format")
	}
	if err := Check(dir, o.Kind); err != nil {
		return nil, err
	}
	if !o.ReadOnly {
		if err := MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	env, err := share(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open LMDB in %q: %w", dir, err)
	}
	e := &Env{dir: dir, env: env, readOnly: o.ReadOnly, stop: make(chan struct{}), done: make(chan struct{})}
	e.idle.L = &e.mu
	err = e.checkMeta(o)
	env.opening.Unlock()
	if err == nil && !o.ReadOnly {
		// Also when it was there: whoever made it may not have come to that.
		err = SyncDir(dir)
	}
	if err != nil {
		close(e.done)
		return nil, errors.Join(err, e.Close())
	}
	if !o.NoLock {
		_, _ = env.ReaderCheck() // what a process left that was killed
	}
	go e.checkReaders(orDefault(o.ReaderCheck, defaultReaderCheck))
	return e, nil
}

func openRaw(dir string, o Options) (*lmdb.Env, error) {
	raw, err := lmdb.NewEnv()
	if err != nil {
		return nil, err
	}
	var flags uint
	if o.ReadOnly {
		flags = lmdb.Readonly
	}
	if o.NoLock {
		flags |= lmdb.NoLock
	}
	err = errors.Join(
		raw.SetMapSize(orDefault(o.MapSize, DefaultMapSize)),
		raw.SetMaxDBs(orDefault(o.MaxDBs, defaultMaxDBs)),
		raw.SetMaxReaders(maxReaders),
	)
	if err == nil {
		err = raw.Open(dir, flags, 0o600)
	}
	if err != nil {
		_ = raw.Close() // nothing was opened
		return nil, err
	}
	return raw, nil
}

// Dir is the directory.
func (e *Env) Dir() string { return e.dir }

// Created reports whether this Open made the environment.
func (e *Env) Created() bool { return e.created }

// Meta is the database that also holds kind and format. The owner's keys must
// differ from "kind" and "format".
func (e *Env) Meta() DBI { return e.meta }

// Main is LMDB's own database, which has what it knows of the others under their
// names. It is for reading.
func (e *Env) Main() DBI { return e.main }

// OpenDB returns the named database, which is made if it does not exist; opened
// read-only, that is an error instead, see [IsNotFound]. The handle stays valid
// until Close. LMDB allows one at a time, so calls wait for each other.
func (e *Env) OpenDB(name string) (db DBI, err error) {
	e.env.opening.Lock()
	defer e.env.opening.Unlock()
	if db, err = e.openExisting(name); !IsNotFound(err) || e.readOnly {
		return db, err
	}
	err = e.Update(func(txn *Txn) error {
		db, err = openDB(txn, name, true)
		return err
	})
	return db, err
}

// OpenKnownDB is OpenDB for a database that must be there: without it the
// environment is a [*DamagedError]. A damaged name is a database that is missing,
// and an empty one in its place would hide what was in it.
func (e *Env) OpenKnownDB(name string) (DBI, error) {
	e.env.opening.Lock()
	defer e.env.opening.Unlock()
	db, err := e.openExisting(name)
	if IsNotFound(err) {
		err = &DamagedError{File: filepath.Join(e.dir, DataFile), Cause: fmt.Errorf("database %q is missing", name)}
	}
	return db, err
}

// openExisting commits its read transaction: a handle opened in one that ends
// otherwise is closed with it.
func (e *Env) openExisting(name string) (DBI, error) {
	if err := e.enter(); err != nil {
		return 0, err
	}
	defer e.leave()
	txn, err := e.env.BeginTxn(nil, lmdb.Readonly)
	if err != nil {
		return 0, err
	}
	db, err := openDB(txn, name, false)
	if err != nil {
		txn.Abort()
		return 0, err
	}
	return db, txn.Commit()
}

// openDB opens a plain database: flags would have LMDB compare keys otherwise,
// and miss those that are there. Nobody here ever set one.
func openDB(txn *Txn, name string, create bool) (db DBI, err error) {
	mode := uint(0)
	if create {
		mode = lmdb.Create
	}
	if db, err = txn.OpenDBI(name, mode); err != nil {
		return db, err
	}
	flags, err := txn.Flags(db)
	if err == nil && flags != 0 {
		err = &DamagedError{File: name, Cause: fmt.Errorf("its database has flags %#x: %w", flags, errMangled)}
	}
	return db, err
}

// CommitError says that a commit failed after its first write: whether it is
// there after a restart is not known.
type CommitError struct{ Err error }

func (e *CommitError) Error() string { return "commit: " + e.Err.Error() }
func (e *CommitError) Unwrap() error { return e.Err }

// Update runs fn in the environment's one write transaction and commits it,
// fully synced, if fn returns nil. It locks the OS thread meanwhile. txn and
// what it returned are not valid any more afterwards.
//
// A [*CommitError] means that the outcome is unknown; after any other error
// nothing of the transaction was stored. A full disk is of the second kind, see
// [IsNoSpace].
func (e *Env) Update(fn func(txn *Txn) error) error {
	if e.readOnly {
		return fmt.Errorf("%q: %w", e.dir, ErrReadOnly)
	}
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	txn, err := e.env.BeginTxn(nil, 0)
	if err != nil {
		return err
	}
	txn.RawRead = true
	committing := false
	defer func() {
		if !committing {
			txn.Abort()
		}
	}()
	if err := fn(txn); err != nil {
		return err
	}
	committing = true
	if err := txn.Commit(); err != nil {
		return e.commitError(err)
	}
	return nil
}

func (e *Env) works() bool {
	txn, err := e.env.BeginTxn(nil, lmdb.Readonly)
	if err != nil {
		return false
	}
	txn.Abort()
	return true
}

// Sizes of an environment, in bytes.
type Sizes struct {
	// Used are the pages that were ever in use: the size of the data file.
	Used int64
	// Map is the address space reserved.
	Map int64
}

// Sizes returns how large the environment is.
func (e *Env) Sizes() (Sizes, error) {
	if err := e.enter(); err != nil {
		return Sizes{}, err
	}
	defer e.leave()
	info, err := e.env.Info()
	if err != nil {
		return Sizes{}, err
	}
	stat, err := e.env.Stat()
	if err != nil {
		return Sizes{}, err
	}
	return Sizes{Used: (info.LastPNO + 1) * int64(stat.PSize), Map: info.MapSize}, nil
}

// Transaction returns the number of the last transaction that was committed, by
// whatever process: while it stays the same, so does all that is stored.
func (e *Env) Transaction() (int64, error) {
	if err := e.enter(); err != nil {
		return 0, err
	}
	defer e.leave()
	info, err := e.env.Info()
	if err != nil {
		return 0, err
	}
	return info.LastTxnID, nil
}

// Replaced reports whether the data file that is open is not the one that has
// its name any more.
func (e *Env) Replaced() bool {
	file, err := identify(e.dir)
	return err != nil || file != e.env.file
}

// Close waits for readers and updates in flight, refuses new ones and closes
// the environment. A second Close does nothing.
func (e *Env) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	for e.active > 0 {
		e.idle.Wait()
	}
	for _, txn := range e.free {
		txn.Abort()
	}
	e.free = nil
	e.mu.Unlock()

	close(e.stop)
	<-e.done
	return e.env.release()
}

// enter keeps the environment open until leave.
func (e *Env) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fmt.Errorf("%q: %w", e.dir, ErrClosed)
	}
	e.active++
	return nil
}

func (e *Env) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active--; e.active == 0 {
		e.idle.Broadcast()
	}
}

func (e *Env) checkReaders(every time.Duration) {
	defer close(e.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-ticker.C:
			// It fails only when the lock file is gone, which the next
			// transaction reports better.
			_, _ = e.env.ReaderCheck()
		}
	}
}

// MkdirAll creates a directory and its parents, each synced into its own.
func MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%q is not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if parent != dir {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes the creation, renaming and removal of a directory's entries
// durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func orDefault[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
