package client

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Credential proves who a client is. [Ticket], [CRA] and [Cryptosign] make
// one; a program may make others.
type Credential struct {
	// Method is the WAMP authentication method.
	Method string
	// Extra goes into the authextra of HELLO.
	Extra wamp.Dict
	// Respond answers the server's challenge.
	Respond func(*wamp.Challenge) (signature string, err error)
}

// Ticket is a secret that is shown to the server: use it over TLS.
func Ticket(ticket string) Credential {
	return Credential{Method: "ticket", Respond: func(*wamp.Challenge) (string, error) { return ticket, nil }}
}

// maxIterations bounds the work that a server can ask of WAMP-CRA.
const maxIterations = 1_000_000

// CRA is a shared secret that is not shown: the server's challenge is signed
// with it, or with a key derived from it when the challenge says how
// (WAMP-CRA).
func CRA(secret string) Credential {
	return Credential{Method: "wampcra", Respond: func(m *wamp.Challenge) (string, error) {
		challenge, ok := m.Extra["challenge"].(string)
		if !ok {
			return "", errors.New("the server's challenge has no text to sign")
		}
		key, err := craKey(secret, m.Extra)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(challenge))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
	}}
}

// craKey derives a key with PBKDF2 where the challenge is salted. The defaults
// are the WAMP specification's.
func craKey(secret string, extra wamp.Dict) ([]byte, error) {
	salt, salted := extra["salt"].(string)
	if !salted {
		return []byte(secret), nil
	}
	iterations, length := int64(1000), int64(32)
	for name, n := range map[string]*int64{"iterations": &iterations, "keylen": &length} {
		if v, ok := extra[name]; ok {
			if *n, ok = codec.Integer(v); !ok || *n < 1 || *n > maxIterations {
				return nil, fmt.Errorf("the server's challenge has %v %s", v, name)
			}
		}
	}
	key, err := pbkdf2.Key(sha256.New, secret, []byte(salt), int(iterations), int(min(length, 1024)))
	if err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(key)), nil
}

// Cryptosign is an Ed25519 key: the server knows its public half, and has the
// client sign a challenge of 32 bytes. Channel binding is not offered.
func Cryptosign(key ed25519.PrivateKey) Credential {
	public, _ := key.Public().(ed25519.PublicKey)
	return Credential{
		Method: "cryptosign",
		Extra:  wamp.Dict{"pubkey": hex.EncodeToString(public)},
		Respond: func(m *wamp.Challenge) (string, error) {
			text, _ := m.Extra["challenge"].(string)
			challenge, err := hex.DecodeString(text)
			if err != nil || len(challenge) != 32 {
				return "", errors.New("the server's challenge is not the 64 hex digits of 32 bytes")
			}
			return hex.EncodeToString(ed25519.Sign(key, challenge)) + text, nil
		},
	}
}
