package wampbus

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/users"
)

// maxAuthID bounds an authid, in bytes.
const maxAuthID = 256

var (
	errLogin     = errors.New("authentication failed")
	errThrottled = errors.New("too many failed attempts: try again later")
)

// login authenticates by one method those who are in Options.Users. Whether an
// authid is in there can't be told from outside: who is not gets the same
// challenge, takes the same time, and fails with the same words.
type login struct {
	bus    *Bus
	method string
	check  func(l *login, ctx context.Context, sid wamp.ID, c *users.Credential, client wamp.Peer) (bool, error)
}

func (b *Bus) logins() []auth.Authenticator {
	if b.options.Users == nil {
		return nil
	}
	return []auth.Authenticator{
		&login{b, users.Ticket, (*login).ticket},
		&login{b, users.CRA, (*login).cra},
		&login{b, users.Cryptosign, (*login).cryptosign},
	}
}

func (l *login) AuthMethod() string { return l.method }

func (l *login) Authenticate(sid wamp.ID, details wamp.Dict, client wamp.Peer) (*wamp.Welcome, error) {
	s, ok := transportOf(details).(*session)
	if !ok {
		return nil, errLogin
	}
	authID, _ := wamp.AsString(details["authid"])
	if authID == "" || len(authID) > maxAuthID {
		return nil, fmt.Errorf("authid must have 1 to %d bytes", maxAuthID)
	}
	return l.bus.attempt(s, l.method, authID, func() (*wamp.Welcome, error) {
		c, known := l.bus.options.Users.Lookup(authID, l.method)
		proved, err := l.check(l, s.ctx, sid, c, client)
		if err != nil || !proved || !known {
			return nil, errLogin
		}
		return &wamp.Welcome{Details: wamp.Dict{"authid": authID, "authrole": c.Roles, "authprovider": "static"}}, nil
	})
}

// counted slows down and counts the attempts of an authenticator of the
// program's.
type counted struct {
	auth.Authenticator
	bus *Bus
}

func (c counted) Authenticate(sid wamp.ID, details wamp.Dict, client wamp.Peer) (*wamp.Welcome, error) {
	s, ok := transportOf(details).(*session)
	if !ok {
		return nil, errLogin
	}
	authID, _ := wamp.AsString(details["authid"])
	if len(authID) > maxAuthID {
		return nil, fmt.Errorf("authid must not have more than %d bytes", maxAuthID)
	}
	return c.bus.attempt(s, c.AuthMethod(), authID, func() (*wamp.Welcome, error) {
		return c.Authenticator.Authenticate(sid, details, client)
	})
}

// authenticators are all for clients but the anonymous one.
func (b *Bus) authenticators() []auth.Authenticator {
	all := b.logins()
	for _, a := range b.options.Authenticators {
		all = append(all, counted{a, b})
	}
	return all
}

// attempt tries to log a client in, behind those who failed before. It counts
// as failed from the start, and until it is known not to be: many at once are
// no more than many in a row.
func (b *Bus) attempt(s *session, method, authID string, try func() (*wamp.Welcome, error)) (*wamp.Welcome, error) {
	address := origin(s.conn.RemoteAddr())
	delay, ok := b.throttle.enter(time.Now(), address, authID)
	if !ok {
		b.stats.throttled.Add(1)
		s.throttled.Store(true)
		return nil, errThrottled
	}
	failed := false
	defer func() { b.throttle.leave(time.Now(), address, authID, failed) }()
	if err := b.delayed(s.ctx, delay); err != nil {
		return nil, err
	}
	welcome, err := try()
	if err != nil && s.ctx.Err() == nil { // a client that has left has learned nothing
		failed = true
		b.stats.loginFailed(method)
		b.log.Info("authentication failed", "remote", s.conn.RemoteAddr().String(), "method", method, "authid", authID)
	}
	return welcome, err
}

func (b *Bus) delayed(ctx context.Context, delay time.Duration) error {
	if delay == 0 {
		return nil
	}
	b.stats.throttled.Add(1)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask sends a challenge and returns what it is answered with.
func (l *login) ask(client wamp.Peer, extra wamp.Dict) (string, error) {
	select {
	case client.Send() <- &wamp.Challenge{AuthMethod: l.method, Extra: extra}:
	default:
		return "", errors.New("the client is blocked")
	}
	m, err := wamp.RecvTimeout(client, l.bus.limits.Handshake)
	if err != nil {
		return "", err
	}
	answer, ok := m.(*wamp.Authenticate)
	if !ok {
		return "", fmt.Errorf("a challenge was answered with %s", m.MessageType())
	}
	return answer.Signature, nil
}

// hashing bounds how many tickets are hashed at once: each takes 19 MiB.
var hashing = make(chan struct{}, runtime.NumCPU())

func (l *login) ticket(ctx context.Context, _ wamp.ID, c *users.Credential, client wamp.Peer) (bool, error) {
	ticket, err := l.ask(client, wamp.Dict{})
	if err != nil || len(ticket) > 4096 {
		return false, err
	}
	select {
	case hashing <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-hashing }()
	return c.TicketIs(ticket), nil
}

func (l *login) cra(_ context.Context, sid wamp.ID, c *users.Credential, client wamp.Peer) (bool, error) {
	challenge, err := json.Marshal(map[string]any{
		"authid": c.AuthID, "authmethod": l.method, "authprovider": "static",
		"nonce": rand.Text(), "session": sid, "timestamp": wamp.NowISO8601(),
	})
	if err != nil {
		return false, err
	}
	salt, iterations, keyLen := c.Salting()
	signature, err := l.ask(client, wamp.Dict{"challenge": string(challenge), "salt": salt, "iterations": iterations, "keylen": keyLen})
	if err != nil {
		return false, err
	}
	return c.Signed(string(challenge), signature), nil
}

func (l *login) cryptosign(_ context.Context, _ wamp.ID, c *users.Credential, client wamp.Peer) (bool, error) {
	challenge := make([]byte, 32)
	_, _ = rand.Read(challenge) // never fails
	signature, err := l.ask(client, wamp.Dict{"challenge": hex.EncodeToString(challenge)})
	if err != nil {
		return false, err
	}
	signed, err := hex.DecodeString(signature) // the signature, and optionally what it is of
	if err != nil || len(signed) != ed25519.SignatureSize && len(signed) != ed25519.SignatureSize+len(challenge) {
		return false, nil
	}
	return ed25519.Verify(c.PublicKey(), challenge, signed[:ed25519.SignatureSize]), nil
}
