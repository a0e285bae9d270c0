//go:build cgo

package lmdbenv_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"
	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LMDBENV_TEST_LOCK"); dir != "" {
		_, err := lmdbenv.LockDir(dir)
		os.Stdout.WriteString(err.Error())
		return
	}
	if dir := os.Getenv("LMDBENV_TEST_READ"); dir != "" {
		n, _ := strconv.Atoi(os.Getenv("LMDBENV_TEST_READERS"))
		read(dir, n)
		return
	}
	goleak.VerifyTestMain(m)
}

var options = lmdbenv.Options{Kind: "test", Format: 2}

// TestReaderOfWhatIsBeingMade opens what another process has made and not written
// to: that is not another program's.
func TestReaderOfWhatIsBeingMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	raw, err := lmdb.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Open(dir, 0, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	read := options
	read.ReadOnly = true
	if env, err := lmdbenv.Open(dir, read); !errors.Is(err, lmdbenv.ErrUnfinished) || errors.Is(err, lmdbenv.ErrForeign) {
		t.Errorf("a reader: %v, %v", env, err)
	}
	put(t, open(t, dir, options), "a", "b")
	open(t, dir, read)
}

func open(t *testing.T, dir string, o lmdbenv.Options) *lmdbenv.Env {
	t.Helper()
	env, err := lmdbenv.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

func put(t *testing.T, env *lmdbenv.Env, key, value string) {
	t.Helper()
	if err := env.Update(func(txn *lmdbenv.Txn) error {
		return txn.Put(env.Meta(), []byte(key), []byte(value), 0)
	}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, env *lmdbenv.Env, key string) (value string) {
	t.Helper()
	if err := env.View(func(txn *lmdbenv.Txn) error {
		v, err := txn.Get(env.Meta(), []byte(key))
		value = string(v)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestReopenFindsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	env := open(t, dir, options)
	if !env.Created() {
		t.Error("a new environment says that it was there")
	}
	put(t, env, "k", "v")
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, options)
	if again.Created() || get(t, again, "k") != "v" {
		t.Error("the environment was made again")
	}
	info, err := os.Stat(filepath.Join(dir, "data.mdb"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("data.mdb: mode %v, %v", info.Mode(), err)
	}
}

func TestForeignAndNewerAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir, options).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := lmdbenv.Open(dir, lmdbenv.Options{Kind: "other", Format: 2}); !errors.Is(err, lmdbenv.ErrForeign) {
		t.Errorf("other kind: %v", err)
	}
	var format *lmdbenv.FormatError
	if _, err := lmdbenv.Open(dir, lmdbenv.Options{Kind: "test", Format: 1}); !errors.As(err, &format) || format.Found != 2 {
		t.Errorf("newer format: %v", err)
	}
	if err := open(t, dir, lmdbenv.Options{Kind: "test", Format: 3}).Close(); err != nil {
		t.Errorf("older format: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := open(t, dir, options)
	put(t, env, "k", "1")
	o := options
	o.ReadOnly = true
	if _, err := lmdbenv.Open(t.TempDir(), o); err == nil {
		t.Error("opened read-only what does not exist")
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	reader := open(t, dir, o)
	if got := get(t, reader, "k"); got != "1" {
		t.Errorf("read %q", got)
	}
	if err := reader.Update(func(*lmdbenv.Txn) error { return nil }); err == nil {
		t.Error("a read-only environment took an update")
	}
}

func TestFailedUpdateLeavesNothing(t *testing.T) {
	t.Parallel()
	env := open(t, t.TempDir(), options)
	broken := errors.New("broken")
	err := env.Update(func(txn *lmdbenv.Txn) error {
		return errors.Join(broken, txn.Put(env.Meta(), []byte("k"), []byte("v"), 0))
	})
	var commit *lmdbenv.CommitError
	if !errors.Is(err, broken) || errors.As(err, &commit) {
		t.Errorf("update: %v", err)
	}
	err = env.View(func(txn *lmdbenv.Txn) error {
		_, err := txn.Get(env.Meta(), []byte("k"))
		return err
	})
	if !lmdbenv.IsNotFound(err) {
		t.Errorf("after an aborted update: %v", err)
	}
}

func TestFullMapIsNoSpace(t *testing.T) {
	t.Parallel()
	o := options
	o.MapSize = 256 << 10
	env := open(t, t.TempDir(), o)
	big := make([]byte, 512<<10)
	err := env.Update(func(txn *lmdbenv.Txn) error { return txn.Put(env.Meta(), []byte("k"), big, 0) })
	var commit *lmdbenv.CommitError
	if !lmdbenv.IsNoSpace(err) || errors.As(err, &commit) {
		t.Errorf("update: %v", err)
	}
	put(t, env, "k", "v") // and it goes on
}

func TestPooledReaderSeesTheNewest(t *testing.T) {
	t.Parallel()
	env := open(t, t.TempDir(), options)
	for i := range 50 {
		want := strconv.Itoa(i)
		put(t, env, "k", want)
		if got := get(t, env, "k"); got != want {
			t.Fatalf("read %q, want %q", got, want)
		}
	}
}

func TestCloseWaitsForReaders(t *testing.T) {
	t.Parallel()
	env := open(t, t.TempDir(), options)
	put(t, env, "k", "v")
	r, err := env.Begin()
	if err != nil {
		t.Fatal(err)
	}
	value, err := r.Txn.Get(env.Meta(), []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- env.Close() }()
	for { // until Close has begun
		second, err := env.Begin()
		if errors.Is(err, lmdbenv.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		second.Close()
	}
	select {
	case <-closed:
		t.Fatal("closed under a reader")
	default:
	}
	if string(value) != "v" {
		t.Errorf("the reader's bytes are %q", value)
	}
	r.Close()
	r.Close()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	t.Parallel()
	env := open(t, t.TempDir(), options)
	put(t, env, "k", "v")
	errs := make(chan error)
	const n = 2000 // more than the reader table holds
	for range n {
		go func() {
			errs <- env.View(func(txn *lmdbenv.Txn) error {
				_, err := txn.Get(env.Meta(), []byte("k"))
				return err
			})
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestLockNamesItsOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var locked *lmdbenv.LockedError
	if _, err := lmdbenv.LockDir(dir); !errors.As(err, &locked) || !locked.Same {
		t.Errorf("same process: %v", err)
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "LMDBENV_TEST_LOCK="+dir)
	out, err := command.Output()
	if want := "in use by process " + strconv.Itoa(os.Getpid()); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("other process: %q, %v; want %q", out, err, want)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := lmdbenv.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestSizesOfLargerPages has a file whose pages are larger than the machine's, as
// one that was made on another machine can have.
func TestSizesOfLargerPages(t *testing.T) {
	t.Parallel()
	pageSize := 2 * os.Getpagesize()
	file := make([]byte, 2*pageSize)
	for number := range uint64(2) { // LMDB's two meta pages
		page := file[number*uint64(pageSize):]
		binary.NativeEndian.PutUint64(page, number)
		binary.NativeEndian.PutUint16(page[10:], 8)
		binary.NativeEndian.PutUint32(page[16:], 0xBEEFC0DE)
		binary.NativeEndian.PutUint32(page[20:], 1)
		binary.NativeEndian.PutUint32(page[40:], uint32(pageSize))
		binary.NativeEndian.PutUint64(page[80:], 1<<64-1) // no free pages
		binary.NativeEndian.PutUint64(page[128:], 1<<64-1)
		binary.NativeEndian.PutUint64(page[136:], 1) // the last page
	}
	dir := t.TempDir()
	path := filepath.Join(dir, lmdbenv.DataFile)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	env := open(t, dir, options)
	put(t, env, "key", strings.Repeat("v", 3*pageSize))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sizes, err := env.Sizes(); err != nil || sizes.Used != info.Size() {
		t.Errorf("%d bytes are used of a file of %d, %v", sizes.Used, info.Size(), err)
	}
}
