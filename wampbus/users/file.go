package users

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
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
	seed    []byte                    // of what nobody has
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
	mac := hmac.New(sha256.New, f.seed)
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
	all, seed, err := parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.all, f.seed = all, seed
	return nil
}

// parse returns the credentials, and a seed that stays the same for as long as
// the first of them does.
func parse(b []byte) (map[[2]string]*Credential, []byte, error) {
	all := make(map[[2]string]*Credential)
	var seed []byte
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := Parse(line)
		if err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		}
		id := [2]string{c.AuthID, c.Method}
		if all[id] != nil {
			return nil, nil, fmt.Errorf("line %d: %q has another line for %s", n, c.AuthID, c.Method)
		}
		all[id] = c
		if seed == nil {
			sum := sha256.Sum256([]byte(line))
			seed = sum[:]
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, errors.New("has no users: write the first line with `es user`")
	}
	return all, seed, nil
}

// Each calls fn with every credential, until it returns an error.
func (f *File) Each(fn func(*Credential) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.all {
		if err := fn(c); err != nil {
			return fmt.Errorf("%s: %q: %w", f.path, c.AuthID, err)
		}
	}
	return nil
}
