package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Restore makes a store of a backup, in a new directory. Everything is as it was
// (records, ids, positions, idempotency keys, schemas) but for the store's id,
// which is new: what happened in the other store after the backup was made is
// not in this one, so that positions of the one mean nothing in the other. Who
// follows the store by a checkpoint of the old one, views for example, begins
// anew.
//
// The files are compared with the sums that the backup has of them. A log that
// is not as it was written fails Restore, and nothing is left; an index that is
// not is left out, and made again when the store is opened. Like a backup's, the
// directory must be new, and gets its name when the store is whole.
//
// progress, unless it is nil, is called with the bytes copied so far.
func Restore(ctx context.Context, backup, dir string, progress func(done, most int64)) (event.Head, error) {
	b, err := readManifest(backup)
	if err != nil {
		return event.Head{}, err
	}
	g, err := stage(dir)
	if err != nil {
		return event.Head{}, fmt.Errorf("restore: %w", err)
	}
	r := restoration{backup: backup, manifest: b, dir: g.dir, store: ulid.Make(), progress: progress}
	if err := g.finish(r.run(ctx)); err != nil {
		return event.Head{}, fmt.Errorf("restore: %w", err)
	}
	return place{b.Position, b.ID}.headOf(r.store), nil
}

// readManifest reads what a backup says of itself.
func readManifest(backup string) (b Backup, err error) {
	file, err := os.Open(filepath.Join(backup, manifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return b, fmt.Errorf("restore: %q is no backup: it has no %s", backup, manifestFile)
	}
	if err != nil {
		return b, fmt.Errorf("restore: %w", err)
	}
	defer file.Close()
	if err := json.NewDecoder(io.LimitReader(file, 1<<16)).Decode(&b); err != nil {
		return b, fmt.Errorf("restore: %q is damaged: %w: use another backup", file.Name(), err)
	}
	if b.Format != backupFormat {
		return b, fmt.Errorf("restore: %q has format %d, this program reads %d: use the version that made it", backup, b.Format, backupFormat)
	}
	return b, nil
}

// restoration is a Restore on its way.
type restoration struct {
	backup   string
	manifest Backup
	dir      string // where the store is made
	store    event.ID
	progress func(done, most int64)
	done     int64
}

func (r *restoration) run(ctx context.Context) error {
	if err := r.copy(ctx, logDir, r.manifest.Log); err != nil {
		return err
	}
	log, err := openLog(filepath.Join(r.dir, logDir), lmdbenv.Options{})
	if err != nil {
		return err
	}
	err = r.adopt(log)
	if err == nil && r.manifest.Index != nil {
		err = r.restoreIndex(ctx, log)
	}
	return errors.Join(err, log.env.Close())
}

// copy copies an environment, and verifies the sum.
func (r *restoration) copy(ctx context.Context, name string, want BackupFile) error {
	from, err := os.Open(filepath.Join(r.backup, name, lmdbenv.DataFile))
	if err != nil {
		return err
	}
	defer from.Close()
	count := func(n int) {
		if r.done += int64(n); r.progress != nil {
			r.progress(r.done, r.most())
		}
	}
	got, err := writeCounted(filepath.Join(r.dir, name), count, func(to io.Writer) error {
		_, err := io.Copy(to, &interruptible{ctx, from})
		return err
	})
	if err == nil && got != want {
		err = fmt.Errorf("%q, of %d bytes, %w, of %d bytes: use another backup", from.Name(), got.Bytes, errSum, want.Bytes)
	}
	return err
}

var errSum = errors.New("is not the file that the backup was made with")

func (r *restoration) most() int64 {
	if r.manifest.Index == nil {
		return r.manifest.Log.Bytes
	}
	return r.manifest.Log.Bytes + r.manifest.Index.Bytes
}

// adopt gives the log its new id, and a journal that is empty.
func (r *restoration) adopt(log *eventLog) error {
	head, err := log.lastPlace()
	if err != nil {
		return err
	}
	if log.store != r.manifest.Store || head != (place{r.manifest.Position, r.manifest.ID}) {
		return fmt.Errorf("%q: the log is of store %s and ends at position %d, the backup of store %s at %d",
			r.backup, log.store, head.position, r.manifest.Store, r.manifest.Position)
	}
	return log.identifyAs(r.store)
}

// identifyAs gives the log that id, and no journal.
func (l *eventLog) identifyAs(store event.ID) error {
	l.store = store
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		return errors.Join(
			txn.Put(l.env.Meta(), []byte(storeKey), store[:], 0),
			txn.Put(l.env.Meta(), []byte(markKey), []byte(markEmpty), 0),
		)
	})
}

// restoreIndex takes the index over, if it is good for anything.
func (r *restoration) restoreIndex(ctx context.Context, log *eventLog) error {
	dir := filepath.Join(r.dir, indexDir)
	err := r.copy(ctx, indexDir, *r.manifest.Index)
	if err == nil {
		var x *index
		if x, err = openIndex(dir, lmdbenv.Options{}); err == nil {
			err = errors.Join(x.adopt(r.manifest.Store, log.store), x.env.Close())
		}
	}
	if err != nil && ctx.Err() == nil && (isDamage(err) || errors.Is(err, errSum) || errors.Is(err, os.ErrNotExist)) {
		return os.RemoveAll(dir)
	}
	return err
}

// adopt moves the index over to another store id.
func (x *index) adopt(from, to event.ID) error {
	return x.env.Update(func(txn *lmdbenv.Txn) error {
		at, err := x.checkpoint(txn)
		if err != nil {
			return err
		}
		if at.store != from {
			return indexDamage("it is of store %s, not of %s", at.store, from)
		}
		at.store = to
		return x.setCheckpoint(txn, at)
	})
}

// interruptible is a reader that ends with ctx.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
