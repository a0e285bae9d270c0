package wampbus

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/users"
)

// anonymous lets clients in that do not authenticate, where the operator said so.
type anonymous struct {
	roles    Roles
	anywhere bool
}

func (anonymous) AuthMethod() string { return "anonymous" }

func (a anonymous) Authenticate(_ wamp.ID, details wamp.Dict, _ wamp.Peer) (*wamp.Welcome, error) {
	client, ok := transportOf(details).(*session)
	switch {
	case !ok:
		return nil, errors.New("only clients of the bus may be anonymous")
	case a.roles == 0:
		return nil, errors.New("anonymous access is not enabled: authenticate")
	case !client.loopback() && !a.anywhere:
		return nil, errors.New("anonymous access is for this machine only: authenticate")
	}
	return &wamp.Welcome{Details: wamp.Dict{
		"authid":       strconv.FormatUint(uint64(wamp.GlobalID()), 16),
		"authrole":     a.roles.String(),
		"authprovider": "static",
	}}, nil
}

// serverMethod is how the bus's own sessions authenticate: with a secret made
// for the process, and by being the peers that the bus made.
const serverMethod = "verbatim-server"

type serverAuth struct{ bus *Bus }

func (serverAuth) AuthMethod() string { return serverMethod }

func (a serverAuth) Authenticate(_ wamp.ID, details wamp.Dict, peer wamp.Peer) (*wamp.Welcome, error) {
	extra, _ := details["authextra"].(wamp.Dict)
	secret, _ := extra["secret"].(string)
	own, ok := peer.(*localPeer)
	if !ok || !a.bus.owns(own) || subtle.ConstantTimeCompare([]byte(secret), []byte(a.bus.secret)) != 1 {
		return nil, errors.New("not the server")
	}
	return &wamp.Welcome{Details: wamp.Dict{"authid": "server", "authrole": "server", "authprovider": "static"}}, nil
}

// checked refuses authenticators that would take the place of the bus's own, or
// of each other.
func checked(authenticators []auth.Authenticator) error {
	seen := make(map[string]bool)
	for _, a := range authenticators {
		method := a.AuthMethod()
		switch method {
		case serverMethod, "anonymous", "":
			return fmt.Errorf("wampbus: an authenticator for method %q can't be added: use Options.Anonymous for clients that do not authenticate", method)
		}
		if seen[method] {
			return fmt.Errorf("wampbus: method %q has two authenticators: those of Options.Users are %s, %s and %s", method, users.Ticket, users.CRA, users.Cryptosign)
		}
		seen[method] = true
	}
	return nil
}
