//go:build cgo

package lmdbenv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// TestCutOffFileIsRefused cuts a file at many sizes: Open must refuse each
// that lost something, and survive reading everything otherwise.
func TestCutOffFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := open(t, dir, options)
	for i := range 300 {
		put(t, env, fmt.Sprintf("key %03d", i), string(make([]byte, 10+i*13)))
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, lmdbenv.DataFile))
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{1, 10, 100, 151, 152, 4095, 4096, 4097, 4096 + 100, 8191, 8192, 8193, len(whole) - 1, len(whole) - 4095}
	for size := 4096; size < len(whole); size += 4096 {
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		dir := t.TempDir()
		name := filepath.Join(dir, lmdbenv.DataFile)
		if err := os.WriteFile(name, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := lmdbenv.Open(dir, options)
		if !lmdbenv.IsDamaged(err) {
			t.Fatalf("cut at %d of %d: %v", size, len(whole), err)
		}
		after, err := os.ReadFile(name)
		if entries, _ := os.ReadDir(dir); err != nil || !bytes.Equal(after, whole[:size]) || len(entries) != 1 {
			t.Errorf("cut at %d: something was changed: %v, %v", size, entries, err)
		}
	}
	for _, more := range []int{0, 1, 4096, 5000} { // what a write that failed leaves
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, lmdbenv.DataFile), append(bytes.Clone(whole), make([]byte, more)...), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, dir, options)
	}
}

// TestHealthyFileIsNeverRefused checks the file after every commit of random
// ones. LMDB leaves pages at its end unwritten when a transaction gives back
// what it took.
func TestHealthyFileIsNeverRefused(t *testing.T) {
	t.Parallel()
	short := 0
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		env := open(t, dir, options)
		var dbs []lmdbenv.DBI
		for i := range 4 {
			db, err := env.OpenDB(fmt.Sprint("db", i))
			if err != nil {
				t.Fatal(err)
			}
			dbs = append(dbs, db)
		}
		for step := range 60 {
			err := env.Update(func(txn *lmdbenv.Txn) error {
				for range random.IntN(40) {
					db := dbs[random.IntN(len(dbs))]
					for range random.IntN(30) {
						key := binary.BigEndian.AppendUint64(nil, random.Uint64N(400))
						if err := txn.Put(db, key, make([]byte, 1+random.IntN(1<<random.IntN(16))), 0); err != nil {
							return err
						}
						key = binary.BigEndian.AppendUint64(nil, random.Uint64N(400))
						if err := txn.Del(db, key, nil); err != nil && !lmdbenv.IsNotFound(err) {
							return err
						}
					}
					if random.IntN(12) == 0 {
						if err := txn.Drop(db, false); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			sizes, err := env.Sizes()
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(dir, lmdbenv.DataFile))
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() < sizes.Used {
				short++
			}
			if err := lmdbenv.Check(dir, options.Kind); err != nil {
				t.Fatalf("seed %d, after commit %d: %v", seed, step, err)
			}
		}
	}
	if short == 0 {
		t.Error("no file was ever shorter than its last page: the test shows nothing")
	}
	t.Logf("%d files were shorter than their last page", short)
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, lmdbenv.DataFile)
	if err := os.WriteFile(name, bytes.Repeat([]byte("junk"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lmdbenv.Open(dir, options); !errors.Is(err, lmdbenv.ErrForeign) || !lmdbenv.IsDamaged(err) {
		t.Errorf("junk: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the junk: %v, %v", entries, err)
	}
	dir = t.TempDir()
	if err := open(t, dir, lmdbenv.Options{Kind: "other", Format: 1}).Close(); err != nil {
		t.Fatal(err)
	}
	if err := lmdbenv.Check(dir, options.Kind); !errors.Is(err, lmdbenv.ErrForeign) || lmdbenv.IsDamaged(err) {
		t.Errorf("another kind: %v", err)
	}
}
