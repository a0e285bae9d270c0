package users

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The methods by their names in WAMP.
const (
	Ticket     = "ticket"
	CRA        = "wampcra"
	Cryptosign = "cryptosign"
)

// The costs of new secrets. What is in a file is taken as it is, within bounds.
const (
	argonMemory, argonTime, argonThreads = 19456, 2, 1 // KiB; OWASP's least
	iterations                           = 100_000
	saltLen, keyLen                      = 16, 32
)

// Credential is one line of a file.
type Credential struct {
	AuthID string
	Roles  string // names, separated by commas
	Method string

	salt, key  []byte // hash of a ticket, derived key, public key
	iterations int
	cost       argonCost
}

type argonCost struct {
	memory, time uint32
	threads      uint8
}

// New makes a credential from a secret: a ticket, a password, or for Cryptosign
// the public key in hexadecimal digits.
func New(authID, roles, method, secret string) (*Credential, error) {
	c := &Credential{AuthID: authID, Roles: roles, Method: method}
	if secret == "" {
		return nil, errors.New("the secret is empty")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.salt = make([]byte, saltLen)
	_, _ = rand.Read(c.salt) // never fails
	switch method {
	case Ticket:
		c.cost = argonCost{argonMemory, argonTime, argonThreads}
		c.key = c.hash(secret)
	case CRA:
		c.iterations = iterations
		key, err := pbkdf2.Key(sha256.New, secret, []byte(c.saltText()), c.iterations, keyLen)
		if err != nil {
			return nil, err
		}
		c.key = key
	default:
		key, err := publicKey(secret)
		if err != nil {
			return nil, err
		}
		c.key = key
	}
	return c, nil
}

// check judges what stands before the secret.
func (c *Credential) check() error {
	for _, part := range []struct{ name, text string }{{"authid", c.AuthID}, {"list of roles", c.Roles}} {
		if part.text == "" || strings.ContainsFunc(part.text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("the %s %q is empty, or holds blanks", part.name, part.text)
		}
	}
	switch {
	case strings.HasPrefix(c.AuthID, "#"):
		return fmt.Errorf("%q would be a comment", c.AuthID)
	case c.Method != Ticket && c.Method != CRA && c.Method != Cryptosign:
		return fmt.Errorf("method %q is unknown: use %s, %s or %s", c.Method, Ticket, CRA, Cryptosign)
	}
	return nil
}

// String is the credential as a line.
func (c *Credential) String() string {
	var secret string
	switch c.Method {
	case Ticket:
		secret = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.cost.memory, c.cost.time, c.cost.threads, b64.EncodeToString(c.salt), b64.EncodeToString(c.key))
	case CRA:
		secret = fmt.Sprintf("$pbkdf2-sha256$%d$%s$%s", c.iterations, c.saltText(), b64.EncodeToString(c.key))
	default:
		secret = hex.EncodeToString(c.key)
	}
	return strings.Join([]string{c.AuthID, c.Roles, c.Method, secret}, "\t")
}

var b64 = base64.RawStdEncoding.Strict()

// Parse is the inverse of [Credential.String].
func Parse(line string) (*Credential, error) {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return nil, fmt.Errorf("has %d fields, want authid, roles, method and secret", len(fields))
	}
	c := &Credential{AuthID: fields[0], Roles: fields[1], Method: fields[2]}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := c.parseSecret(fields[3]); err != nil {
		return nil, fmt.Errorf("the secret of %q for %s: %w", c.AuthID, c.Method, err)
	}
	return c, nil
}

func (c *Credential) parseSecret(s string) (err error) {
	switch c.Method {
	case Cryptosign:
		c.key, err = publicKey(s)
		return err
	case Ticket:
		var version int
		rest, ok := strings.CutPrefix(s, "$argon2id$")
		parts := strings.Split(rest, "$")
		if !ok || len(parts) != 4 {
			return errors.New("want $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>")
		}
		if _, err := fmt.Sscanf(parts[0]+" "+parts[1], "v=%d m=%d,t=%d,p=%d", &version, &c.cost.memory, &c.cost.time, &c.cost.threads); err != nil {
			return fmt.Errorf("its parameters: %w", err)
		}
		if version != argon2.Version || c.cost.memory < 8 || c.cost.memory > 1<<20 || c.cost.time < 1 || c.cost.time > 100 || c.cost.threads < 1 {
			return errors.New("its parameters are out of range")
		}
		return c.decode(parts[2], parts[3])
	}
	rest, ok := strings.CutPrefix(s, "$pbkdf2-sha256$")
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return errors.New("want $pbkdf2-sha256$<iterations>$<salt>$<key>")
	}
	if _, err := fmt.Sscanf(parts[0], "%d", &c.iterations); err != nil || c.iterations < 1 || c.iterations > 10_000_000 {
		return errors.New("its number of iterations is out of range")
	}
	return c.decode(parts[1], parts[2])
}

func (c *Credential) decode(salt, key string) (err error) {
	if c.salt, err = b64.DecodeString(salt); err != nil || len(c.salt) < 8 {
		return errors.New("its salt is no base64 of at least 8 bytes")
	}
	if c.key, err = b64.DecodeString(key); err != nil || len(c.key) < 16 || len(c.key) > 128 {
		return errors.New("its key is no base64 of 16 to 128 bytes")
	}
	return nil
}

func publicKey(digits string) ([]byte, error) {
	key, err := hex.DecodeString(digits)
	if err != nil || len(key) != 32 {
		return nil, errors.New("a public key is 64 hexadecimal digits")
	}
	return key, nil
}

// hash is what a ticket is compared by.
func (c *Credential) hash(ticket string) []byte {
	n := uint32(keyLen)
	if c.key != nil {
		n = uint32(len(c.key))
	}
	return argon2.IDKey([]byte(ticket), c.salt, c.cost.time, c.cost.memory, c.cost.threads, n)
}

// TicketIs reports whether the ticket is this one. It takes about 20 ms and
// 19 MiB, whatever the ticket.
func (c *Credential) TicketIs(ticket string) bool {
	return subtle.ConstantTimeCompare(c.hash(ticket), c.key) == 1
}

// saltText is the salt as clients of WAMP-CRA use it: as text.
func (c *Credential) saltText() string { return b64.EncodeToString(c.salt) }

// Salting is what a client needs to derive its key from its password.
func (c *Credential) Salting() (salt string, iterations, keyLen int) {
	return c.saltText(), c.iterations, len(c.key)
}

// Signed reports whether signature is that of the challenge by WAMP-CRA: the
// HMAC-SHA256 in base64, by the key in base64.
func (c *Credential) Signed(challenge, signature string) bool {
	mac := hmac.New(sha256.New, []byte(base64.StdEncoding.EncodeToString(c.key)))
	mac.Write([]byte(challenge))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return subtle.ConstantTimeCompare([]byte(want), []byte(signature)) == 1
}

// PublicKey is the 32 bytes of an Ed25519 key.
func (c *Credential) PublicKey() []byte { return c.key }
