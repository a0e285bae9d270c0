package users

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// File is a file of credentials. It is read again when it has changed; a change
// that can't be read is reported, and the credentials stay as they were. Its
// methods are safe for concurrent use.
type File struct {
	path   string
	report func(error)

	mu      sync.Mutex
	checked time.Time
	stamp   stamp
	all     map[[2]string]*Credential // by authid and method
	require func(*Credential) error

	seed [32]byte // of what nobody has; random, and the process's
}

// stamp tells versions of a file apart.
type stamp struct {
	size    int64
	changed time.Time
}

// checkEvery is how often the file is looked at, at most.
const checkEvery = time.Second

// Open reads a file. Report is told when a later version can't be read.
func Open(path string, report func(error)) (*File, error) {
	f := &File{path: path, report: report}
	_, _ = rand.Read(f.seed[:]) // never fails
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Lookup returns somebody's credential for a method. For whom has none it is one
// that nothing fits, but looks like others: asking twice gives the same salt.
func (f *File) Lookup(authID, method string) (c *Credential, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	if c, ok := f.all[[2]string{authID, method}]; ok {
		return c, true
	}
	return f.nobody(authID, method), false
}

// nobody is the credential of those who have none, derived from their authid.
func (f *File) nobody(authID, method string) *Credential {
	mac := hmac.New(sha256.New, f.seed[:])
	_, _ = fmt.Fprintf(mac, "%s %s", method, authID)
	salt := mac.Sum(nil)[:saltLen]
	_, _ = mac.Write([]byte{0})
	key := mac.Sum(nil)
	if method == Cryptosign {
		key = ed25519.NewKeyFromSeed(key).Public().(ed25519.PublicKey)
	}
	return &Credential{
		AuthID: authID, Method: method, salt: salt, key: key,
		iterations: iterations, cost: argonCost{argonMemory, argonTime, argonThreads},
	}
}

// refresh reads the file again when it has changed.
func (f *File) refresh() {
	now := time.Now()
	if now.Sub(f.checked) < checkEvery {
		return
	}
	f.checked = now
	if info, err := os.Stat(f.path); err == nil && f.stamp == stampOf(info) {
		return
	}
	if err := f.load(); err != nil && f.report != nil {
		f.report(err)
	}
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.Size(), info.ModTime()} }

func (f *File) load() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	f.stamp, f.checked = stampOf(info), time.Now() // a broken version is reported once
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s: others may read it (mode %04o): it holds secrets, chmod 600 it", f.path, mode)
	}
	b, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	all, err := parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	if err := f.check(all, f.require); err != nil {
		return err
	}
	f.all = all
	return nil
}

// parse returns the credentials by authid and method.
func parse(b []byte) (map[[2]string]*Credential, error) {
	all := make(map[[2]string]*Credential)
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := Parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		id := [2]string{c.AuthID, c.Method}
		if all[id] != nil {
			return nil, fmt.Errorf("line %d: %q has another line for %s", n, c.AuthID, c.Method)
		}
		all[id] = c
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("has no users: write the first line with `es user`")
	}
	return all, nil
}

// Require has every credential checked, now and whenever the file is read again.
// A version with one for which check returns an error is one that can't be read.
// The last check counts.
func (f *File) Require(check func(*Credential) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(f.all, check); err != nil {
		return err
	}
	f.require = check
	return nil
}

func (f *File) check(all map[[2]string]*Credential, check func(*Credential) error) error {
	if check == nil {
		return nil
	}
	for _, c := range all {
		if err := check(c); err != nil {
			return fmt.Errorf("%s: %q: %w", f.path, c.AuthID, err)
		}
	}
	return nil
}
