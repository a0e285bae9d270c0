package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	backupFormat = 1
	// manifestFile is in a backup's directory and nowhere else.
	manifestFile = "backup.json"
)

// Backup describes a backup. It is in the backup's directory as backup.json.
type Backup struct {
	Format int `json:"format"`
	// Store is what the backup is of; Position and ID are those of the last
	// event in it, zero if there is none.
	Store    event.ID  `json:"store"`
	Position uint64    `json:"position"`
	ID       event.ID  `json:"id"`
	Made     time.Time `json:"made"`
	// Log and Index are the data files. There is no index when the store had
	// none that was any good.
	Log   BackupFile  `json:"log"`
	Index *BackupFile `json:"index,omitempty"`
	// JournalPosition is up to where the journal of the store had events that
	// are not in the backup, 0 when none were found. It is known when the backup
	// is made.
	JournalPosition uint64 `json:"-"`
}

// BackupFile is a file of a backup: its size in bytes, and its SHA-256 in
// hexadecimal.
type BackupFile struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Backup makes a backup of the open store in a new directory, with everything
// that was acknowledged before it was called; of a store that is open for
// reading only, with everything that it shows. Appends and reads go on
// meanwhile, but what they replace on the disk takes new space until the backup
// is done. Free space is left out: the backup is as compact as can be.
//
// The directory must not exist, or be empty. It gets its name when the backup is
// whole and durable; a crash leaves one with ".unfinished-" in its name, which
// can be removed. [Restore] makes a store of it.
//
// progress, unless it is nil, is called with the bytes written so far, and those
// that there will be at most.
func (s *Store) Backup(ctx context.Context, dir string, progress func(done, most int64)) (Backup, error) {
	if err := s.ready(); err != nil {
		return Backup{}, err
	}
	if _, err := s.settle(ctx); err != nil {
		return Backup{}, err
	}
	b, err := s.backup(ctx, dir, progress)
	return b, closedError(err)
}

// BackupDir makes a backup of the store in a directory, whether a process has it
// open or not: of what its log has. JournalPosition says if there is more, which
// is so for moments beside a writer, and after a crash until the store was
// opened. See [Store.Backup].
func BackupDir(ctx context.Context, dir, to string, progress func(done, most int64)) (_ Backup, err error) {
	s := &Store{dir: dir}
	env, err := s.openLogReadOnly()
	if err != nil {
		return Backup{}, err
	}
	defer func() { err = errors.Join(err, s.closeFiles(), s.unlock()) }()
	v := &verifier{store: s}
	if err := v.openIndex(env); err != nil {
		return Backup{}, err
	}
	b, err := s.backup(ctx, to, progress)
	if err != nil {
		return Backup{}, err
	}
	found, err := journal.Inspect(filepath.Join(dir, journalDir), journal.Options{Store: b.Store, Folded: b.Position})
	if err != nil {
		return b, nil // in use: its writer takes it up
	}
	b.JournalPosition = found.Last
	return b, found.Close()
}

func (s *Store) backup(ctx context.Context, dir string, progress func(done, most int64)) (Backup, error) {
	g, err := stage(dir)
	if err != nil {
		return Backup{}, fmt.Errorf("backup: %w", err)
	}
	b := Backup{Format: backupFormat, Store: s.log.store, Made: time.Now().UTC().Truncate(time.Second)}
	if err := g.finish(s.fillBackup(ctx, g.dir, &b, progress)); err != nil {
		return Backup{}, fmt.Errorf("backup: %w", err)
	}
	return b, nil
}

// fillBackup copies the index before the log, so that it is not ahead of it.
func (s *Store) fillBackup(ctx context.Context, dir string, b *Backup, progress func(done, most int64)) (err error) {
	var most, done int64
	for _, env := range s.envs() {
		sizes, err := env.Sizes()
		if err != nil {
			return err
		}
		most += sizes.Used
	}
	count := func(n int) {
		if done += int64(n); progress != nil {
			progress(done, most)
		}
	}
	if s.index != nil {
		b.Index = new(BackupFile)
		if *b.Index, err = copyEnv(ctx, s.index.env, filepath.Join(dir, indexDir), count); err != nil {
			return err
		}
	}
	if b.Log, err = copyEnv(ctx, s.log.env, filepath.Join(dir, logDir), count); err != nil {
		return err
	}
	copied, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{ReadOnly: true, NoLock: true})
	if err != nil {
		return err
	}
	head, err := copied.lastPlace()
	b.Position, b.ID = head.position, head.id
	if err := errors.Join(err, copied.env.Close()); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, manifestFile), append(text, '\n'), 0o600)
}

func (s *Store) envs() []*lmdbenv.Env {
	if s.index == nil {
		return []*lmdbenv.Env{s.log.env}
	}
	return []*lmdbenv.Env{s.index.env, s.log.env}
}

// copyEnv copies an environment into a new directory.
func copyEnv(ctx context.Context, env *lmdbenv.Env, dir string, count func(int)) (BackupFile, error) {
	return writeCounted(dir, count, func(to io.Writer) error { return env.Copy(ctx, to) })
}

// writeCounted makes the data file of a new environment's directory.
func writeCounted(dir string, count func(int), write func(io.Writer) error) (BackupFile, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return BackupFile{}, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lmdbenv.DataFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return BackupFile{}, err
	}
	c := &counted{file: file, hash: sha256.New(), count: count}
	err = write(c)
	if err := errors.Join(err, file.Close()); err != nil {
		return BackupFile{}, err
	}
	return BackupFile{Bytes: c.bytes, SHA256: hex.EncodeToString(c.hash.Sum(nil))}, nil
}

// counted is a file that is hashed while it is written.
type counted struct {
	file  *os.File
	hash  hash.Hash
	bytes int64
	count func(int)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.file.Write(b)
	c.hash.Write(b[:n])
	c.bytes += int64(n)
	c.count(n)
	return n, err
}
