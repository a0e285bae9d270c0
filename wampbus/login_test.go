package wampbus_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// userFile is a file of users, as lines of authid, roles, method and secret.
func userFile(t *testing.T, lines ...[4]string) *users.File {
	t.Helper()
	var b strings.Builder
	for _, l := range lines {
		c, err := users.New(l[0], l[1], l[2], l[3])
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(c.String() + "\n")
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := users.Open(path, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func byCRA(password string) []client.Credential { return []client.Credential{client.CRA(password)} }

func byKey(key ed25519.PrivateKey) []client.Credential {
	return []client.Credential{client.Cryptosign(key)}
}

// saying answers every challenge with the same.
func saying(method, answer string) []client.Credential {
	return []client.Credential{{Method: method, Respond: func(*wamp.Challenge) (string, error) { return answer, nil }}}
}

// Users are let in with their secrets, by every method and in every format, to
// do what their roles allow; nobody else is.
func TestLogins(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	stranger := ed25519.NewKeyFromSeed([]byte("another seed, also of 32 bytes.."))
	file := userFile(t, [4]string{"ann", "writer", users.Ticket, "a"}, [4]string{"bob", "reader", users.CRA, "b"},
		[4]string{"eve", "admin", users.Cryptosign, hex.EncodeToString(key.Public().(ed25519.PublicKey))}, [4]string{"bob", "reader", users.Ticket, "c"})
	for _, f := range codec.Formats {
		h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = 0, file })
		one := event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("x")}}
		for _, u := range []struct {
			authID string
			by     []client.Credential
			writes bool
		}{{"ann", ticket("a"), true}, {"bob", byCRA("b"), false}, {"bob", ticket("c"), false}, {"eve", byKey(key), true}} {
			c := h.dial(t, client.Options{AuthID: u.authID, Credentials: u.by, Serialization: f.String()})
			if _, err := c.Head(deadline(t)); err != nil {
				t.Errorf("%v, %s: %v", f, u.authID, err)
			}
			if _, err := c.Append(deadline(t), one); u.writes != (err == nil) || err != nil && !errors.Is(err, client.ErrNotAuthorized) {
				t.Errorf("%v, %s appends: %v", f, u.authID, err)
			}
		}
		if _, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true}); err == nil {
			t.Error("an anonymous client is in")
		}
	}
	// Whether an authid is known can't be told by how it fails.
	var said []string
	for _, u := range []struct {
		authID string
		by     []client.Credential
	}{
		{"ann", ticket("b")}, {"zoe", ticket("a")}, {"bob", byCRA("c")}, {"zoe", byCRA("b")}, {"ann", byCRA("a")}, {"eve", byKey(stranger)}, {"zoe", byKey(key)},
		{"ann", saying(users.Ticket, "")},
		{"ann", saying(users.Ticket, strings.Repeat("a", 1<<20))},
		{"eve", saying(users.Cryptosign, "not hexadecimal")},
		{"eve", saying(users.Cryptosign, strings.Repeat("00", 95))},
	} {
		h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = 0, file })
		_, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true, AuthID: u.authID, Credentials: u.by})
		if err == nil {
			t.Fatalf("%s is in", u.authID)
		}
		said = append(said, strings.ReplaceAll(err.Error(), h.url, ""))
		if s := h.bus.Stats(); len(s.LoginsFailed) != 1 || s.Joined != 0 {
			t.Errorf("%s: stats %+v", u.authID, s)
		}
	}
	for _, s := range said {
		if s != said[0] {
			t.Errorf("%q and %q", s, said[0])
		}
	}
}

// The challenge for a user who is not there looks like one who is.
func TestChallenges(t *testing.T) {
	t.Parallel()
	file := userFile(t, [4]string{"bob", "reader", users.CRA, "b"})
	h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = 0, file })
	challenge := func(authID string) *wamp.Challenge {
		w := h.connect(t, codec.JSON)
		w.send(&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": everyRole["roles"], "authid": authID, "authmethods": []any{users.CRA}}})
		m, ok := w.receive().(*wamp.Challenge)
		if !ok {
			t.Fatalf("got %#v", m)
		}
		w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.head"}) // is no answer
		if reason := w.ended(); reason == "" {
			t.Error("ended without a reason")
		}
		return m
	}
	bob, zoe, again := challenge("bob"), challenge("zoe"), challenge("zoe")
	if zoe.Extra["salt"] != again.Extra["salt"] || zoe.Extra["salt"] == bob.Extra["salt"] || len(zoe.Extra["salt"].(string)) != len(bob.Extra["salt"].(string)) {
		t.Errorf("salts %v, %v, %v", bob.Extra["salt"], zoe.Extra["salt"], again.Extra["salt"])
	}
	for _, name := range []string{"iterations", "keylen"} {
		if zoe.Extra[name] != bob.Extra[name] {
			t.Errorf("%s: %v and %v", name, zoe.Extra[name], bob.Extra[name])
		}
	}
	for _, authID := range []any{"", strings.Repeat("x", 300)} {
		w := h.connect(t, codec.JSON)
		w.send(&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": everyRole["roles"], "authid": authID, "authmethods": []any{users.CRA}}})
		if m, ok := w.receive().(*wamp.Abort); !ok {
			t.Errorf("authid %q: %#v", authID, m)
		}
	}
}

// Whoever fails again and again waits, then is refused; the right secret still
// opens when the wait is over.
func TestFailuresAreSlowed(t *testing.T) {
	t.Parallel()
	file := userFile(t, [4]string{"ann", "reader", users.Ticket, "a"})
	h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = 0, file })
	dial := func(secret string) error {
		c, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true, AuthID: "ann", Credentials: ticket(secret)})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	for range 3 {
		if dial("wrong") == nil {
			t.Fatal("a wrong ticket is in")
		}
	}
	if n := h.bus.Stats().LoginsThrottled; n != 0 {
		t.Errorf("%d were slowed down", n)
	}
	began := time.Now()
	if err := dial("a"); err != nil {
		t.Errorf("the right ticket: %v", err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("the fourth took %v", took)
	}
	failed := make(chan error)
	const flood = 50
	for range flood {
		go func() { failed <- dial("wrong") }()
	}
	refused := 0
	for range flood {
		if err := <-failed; err == nil {
			t.Error("a wrong ticket is in")
		} else if strings.Contains(err.Error(), "too many failed attempts") {
			refused++
		}
	}
	if s := h.bus.Stats(); refused < flood/2 || s.LoginsFailed[users.Ticket] > flood/2 || s.LoginsThrottled == 0 {
		t.Errorf("%d of %d were refused: %+v", refused, flood, s)
	}
}

// A login that others' failures keep from being tried is told so, with a reason
// of its own, and a client whose connection is lost meanwhile goes on trying
// with the right secret until it is in.
func TestTryLater(t *testing.T) {
	t.Parallel()
	file := userFile(t, [4]string{"ann", "reader", users.Ticket, "a"}, [4]string{"bob", "reader", users.CRA, "b"})
	h := open(t, func(o *wampbus.Options) { o.Anonymous, o.Users = 0, file })
	line := lay(t, h)
	told := make(chan client.Status, 1)
	bob := line.dial(t, client.Options{AuthID: "bob", Credentials: byCRA("b"), OnStatus: func(s client.Status) {
		var said *client.Error
		if s.State == client.Reconnecting && errors.As(s.Err, &said) && said.URI == "es.close.try_later" {
			select {
			case told <- s:
			default:
			}
		}
	}})
	ctx, stop := context.WithCancel(deadline(t))
	var failing sync.WaitGroup
	for range 16 {
		failing.Go(func() {
			for ctx.Err() == nil {
				if c, err := client.Dial(ctx, h.url, client.Options{Unverified: true, AuthID: "eve", Credentials: saying(users.CRA, "guess")}); err == nil {
					t.Error("a wrong secret is in")
					_ = c.Close()
				}
			}
		})
	}
	eventually(t, "an attempt is refused untried", func() bool {
		w := h.connect(t, codec.JSON)
		w.send(&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": everyRole["roles"], "authid": "ann", "authmethods": []any{users.Ticket}}})
		m, ok := w.receive().(*wamp.Abort)
		_ = w.conn.Close()
		return ok && m.Reason == "es.close.try_later"
	})
	line.cut()
	if s := <-told; s.Attempts == 0 {
		t.Errorf("told to try later: %+v", s)
	}
	stop()
	failing.Wait()
	eventually(t, "the client is in again", func() bool { return bob.Status().State == client.Connected })
	if _, err := bob.Head(deadline(t)); err != nil {
		t.Error(err)
	}
}

func TestUsersOptions(t *testing.T) {
	t.Parallel()
	store := open(t, nil).store
	for name, o := range map[string]wampbus.Options{
		"unknown role": {Users: userFile(t, [4]string{"ann", "root", users.Ticket, "a"})},
	} {
		o.Log, o.Schemas = store, store.Schemas()
		if bus, err := wampbus.New(o); err == nil {
			_ = bus.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
