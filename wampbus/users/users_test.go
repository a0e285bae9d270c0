package users_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gammazero/nexus/v3/wamp/crsign"

	"github.com/verbatim-es/verbatim/wampbus/users"
)

const publicKey = "545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122"

func make1(t *testing.T, authID, roles, method, secret string) *users.Credential {
	t.Helper()
	c, err := users.New(authID, roles, method, secret)
	if err != nil {
		t.Fatal(err)
	}
	again, err := users.Parse(c.String())
	if err != nil || again.String() != c.String() {
		t.Fatalf("%q reads as %v, %v", c, again, err)
	}
	if len(secret) > 4 && method != users.Cryptosign && strings.Contains(c.String(), secret) {
		t.Fatalf("%q holds the secret", c)
	}
	return again
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := make1(t, "ann", "reader,writer", users.Ticket, "a ticket")
	if c.AuthID != "ann" || c.Roles != "reader,writer" || !c.TicketIs("a ticket") || c.TicketIs("a ticket ") || c.TicketIs("") {
		t.Errorf("%v", c)
	}
	if other := make1(t, "ann", "reader", users.Ticket, "a ticket"); other.String() == c.String() {
		t.Error("two hashes of one ticket are the same")
	}
	c = make1(t, "bob", "reader", users.CRA, "pässword")
	salt, iterations, keyLen := c.Salting()
	answer := func(password string) string { // as the router's own client does it
		return crsign.RespondChallenge(password, &wamp.Challenge{Extra: wamp.Dict{
			"challenge": "sign this", "salt": salt, "iterations": iterations, "keylen": keyLen,
		}}, nil)
	}
	if !c.Signed("sign this", answer("pässword")) || c.Signed("sign that", answer("pässword")) || c.Signed("sign this", answer("password")) || c.Signed("sign this", "") {
		t.Error("signatures are not what they should be")
	}
	c = make1(t, "eve", "admin", users.Cryptosign, publicKey)
	if len(c.PublicKey()) != 32 {
		t.Errorf("public key % x", c.PublicKey())
	}
}

func TestBadCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]string{
		{"", "reader", users.Ticket, "x"}, {"a b", "reader", users.Ticket, "x"}, {"#a", "reader", users.Ticket, "x"}, {"a", "", users.Ticket, "x"},
		{"a", "reader", "password", "x"}, {"a", "reader", users.CRA, ""}, {"a", "reader", users.Cryptosign, "00"}, {"a", "reader", users.Cryptosign, publicKey[1:] + "g"},
	} {
		if made, err := users.New(c[0], c[1], c[2], c[3]); err == nil {
			t.Errorf("%q became %v", c, made)
		}
	}
	salt := "c2FsdHNhbHRzYWx0"
	key := strings.Repeat("a", 42) + "A"
	for _, line := range []string{
		"a reader ticket", "a reader ticket x y", "a reader ticket plain", "a reader ticket $argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"a reader ticket $argon2id$v=18$m=19456,t=2,p=1$" + salt + "$" + key, "a reader ticket $argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + key,
		"a reader ticket $argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key, "a reader ticket $argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"a reader ticket $argon2id$v=19$m=x$" + salt + "$" + key, "a reader ticket $argon2id$v=19$m=19456,t=2,p=1$short$" + key, "a reader ticket $argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"a reader wampcra $pbkdf2-sha256$0$" + salt + "$" + key, "a reader wampcra $pbkdf2-sha256$99999999$" + salt + "$" + key, "a reader wampcra $pbkdf2-sha256$1000$" + salt,
		"a reader cryptosign " + publicKey + "00",
	} {
		if c, err := users.Parse(line); err == nil {
			t.Errorf("%q is %v", line, c)
		}
	}
	if _, err := users.Parse("a reader wampcra $pbkdf2-sha256$1000$" + salt + "$" + key); err != nil {
		t.Errorf("what the others are made from: %v", err)
	}
}

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	if _, err := users.Open(path, nil); err == nil {
		t.Error("there is none")
	}
	ann, bob := make1(t, "ann", "reader", users.CRA, "x"), make1(t, "bob", "reader", users.Cryptosign, publicKey)
	for name, lines := range map[string][]string{
		"empty": {"", "# nobody"}, "broken": {ann.String(), "bob"}, "twice": {ann.String(), bob.String(), ann.String()},
	} {
		write(t, path, lines...)
		if _, err := users.Open(path, nil); err == nil {
			t.Errorf("%s: it opened", name)
		}
	}
	write(t, path, "# people", "", ann.String())
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := users.Open(path, nil); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file that others can read: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 10)
	f, err := users.Open(path, func(err error) { reported <- err })
	if err != nil {
		t.Fatal(err)
	}
	if c, known := f.Lookup("ann", users.CRA); !known || c.String() != ann.String() {
		t.Errorf("ann is %v", c)
	}
	// Nobody looks like somebody, and twice alike.
	nobody, known := f.Lookup("zoe", users.CRA)
	again, _ := f.Lookup("zoe", users.CRA)
	other, _ := f.Lookup("zoo", users.CRA)
	salt, iterations, keyLen := nobody.Salting()
	annSalt, annIterations, annKeyLen := ann.Salting()
	if known || nobody.String() != again.String() || nobody.String() == other.String() || len(salt) != len(annSalt) || iterations != annIterations || keyLen != annKeyLen {
		t.Errorf("nobody is %v", nobody)
	}
	for _, method := range []string{users.Ticket, users.Cryptosign} {
		if c, known := f.Lookup("ann", method); known || method == users.Cryptosign && len(c.PublicKey()) != 32 || method == users.Ticket && c.TicketIs("") {
			t.Errorf("ann by %s is %v", method, c)
		}
	}
	until := func(what string, condition func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("in vain: %s", what)
			}
		}
	}
	write(t, path, ann.String(), bob.String())
	until("bob is known", func() bool { _, known := f.Lookup("bob", users.Cryptosign); return known })
	if same, _ := f.Lookup("zoe", users.CRA); len(same.String()) != len(nobody.String()) {
		t.Errorf("nobody became %v", same)
	}
	// What is made up for zoe can't be made up from the file.
	elsewhere, err := users.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made, _ := elsewhere.Lookup("zoe", users.CRA); made.String() == nobody.String() {
		t.Error("nobody's credential depends on the file alone")
	}
	readers := func(c *users.Credential) error {
		if c.Roles != "reader" {
			return errors.New("no reader")
		}
		return nil
	}
	if err := f.Require(readers); err != nil {
		t.Error(err)
	}
	write(t, path, ann.String(), bob.String(), make1(t, "eve", "admin", users.CRA, "x").String())
	until("a role that may not be is reported", func() bool { _, _ = f.Lookup("ann", users.CRA); return len(reported) > 0 })
	if _, known := f.Lookup("eve", users.CRA); known {
		t.Error("a version was taken that was refused")
	}
	if err := <-reported; !strings.Contains(err.Error(), "no reader") {
		t.Errorf("reported: %v", err)
	}
	write(t, path, "nonsense")
	until("the broken file is reported", func() bool { _, _ = f.Lookup("ann", users.CRA); return len(reported) > 0 })
	if _, known := f.Lookup("bob", users.Cryptosign); !known {
		t.Error("a broken file took bob away")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ann reader ticket $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA")
	f.Add("ann reader wampcra $pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA")
	f.Add("eve admin cryptosign " + publicKey)
	f.Fuzz(func(t *testing.T, line string) {
		c, err := users.Parse(line)
		if err != nil {
			return
		}
		again, err := users.Parse(c.String())
		if err != nil || again.String() != c.String() {
			t.Errorf("%q reads as %v, %v", c, again, err)
		}
	})
}
