package wampbus_test

import (
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
)

// keys is a key store of the router's with one user for each way to
// authenticate, named after it.
type keys struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	derived []byte // from the secret, with the salt
}

const craSalt, craIterations, craKeyLength = "salt", 100, 32

func newKeys(t *testing.T) *keys {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := pbkdf2.Key(sha256.New, "secret", []byte(craSalt), craIterations, craKeyLength)
	if err != nil {
		t.Fatal(err)
	}
	return &keys{public, private, []byte(base64.StdEncoding.EncodeToString(derived))}
}

func (k *keys) AuthKey(authid, method string) ([]byte, error) {
	switch authid {
	case "ticket", "plain":
		return []byte("secret"), nil
	case "salted":
		return k.derived, nil
	case "cryptosign":
		return k.public, nil
	}
	return nil, errors.New("unknown")
}

func (k *keys) PasswordInfo(authid string) (salt string, keyLength, iterations int) {
	if authid == "salted" {
		return craSalt, craKeyLength, craIterations
	}
	return "", 0, 0
}

func (k *keys) AuthRole(string) (string, error) { return "writer", nil }
func (k *keys) Provider() string                { return "test" }
