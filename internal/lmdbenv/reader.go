//go:build cgo

package lmdbenv

import "github.com/PowerDNS/lmdb-go/lmdb"

// maxFree bounds how many idle readers keep their slot in the reader table.
const maxFree = 64

// Reader is a read transaction: one consistent state of the environment.
// It pins the pages of that state, so it must be short: close it within
// milliseconds.
type Reader struct {
	// Txn reads raw: its bytes are those of the map, valid until Close.
	Txn *Txn
	env *Env
}

// Begin starts a reader on the newest committed state. The caller must Close
// it. When very many are in flight, it waits for one of them to end; for that
// reason a goroutine must not begin a second one on the same environment.
func (e *Env) Begin() (*Reader, error) {
	e.env.slots <- struct{}{}
	txn, err := e.beginReader()
	if err != nil {
		<-e.env.slots
		return nil, err
	}
	return &Reader{Txn: txn, env: e}, nil
}

func (e *Env) beginReader() (*Txn, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	if txn := e.pooled(); txn != nil {
		err := txn.Renew()
		if err == nil {
			return txn, nil
		}
		txn.Abort() // its slot was cleared, take another
	}
	txn, err := e.env.BeginTxn(nil, lmdb.Readonly)
	if err != nil {
		e.leave()
		return nil, err
	}
	txn.RawRead = true
	txn.Pooled = true // silences the finalizer's warning in a program that exits
	return txn, nil
}

func (e *Env) pooled() *Txn {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.free) == 0 {
		return nil
	}
	txn := e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	return txn
}

// Close ends the reader. Nothing it returned may be touched any more. A second
// Close does nothing.
func (r *Reader) Close() {
	txn, e := r.Txn, r.env
	if txn == nil {
		return
	}
	r.Txn = nil
	txn.Reset()
	e.mu.Lock()
	if len(e.free) < maxFree {
		e.free = append(e.free, txn)
		txn = nil
	}
	e.mu.Unlock()
	if txn != nil {
		txn.Abort()
	}
	e.leave()
	<-e.env.slots
}

// View runs fn with a reader; see [Env.Begin].
func (e *Env) View(fn func(txn *Txn) error) error {
	r, err := e.Begin()
	if err != nil {
		return err
	}
	defer r.Close()
	return fn(r.Txn)
}
