package wampbus

import (
	"fmt"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"
)

// identity is who a session is, as its WELCOME said.
type identity struct {
	authID    string
	anonymous bool
	roles     Roles
}

func identityOf(w *wamp.Welcome) identity {
	text := func(name string) string {
		s, _ := wamp.AsString(w.Details[name])
		return s
	}
	roles, _ := ParseRoles(text("authrole")) // of one that makes no sense, nothing is allowed
	return identity{authID: text("authid"), anonymous: text("authmethod") == "anonymous", roles: roles}
}

// String is the client in a sentence, with its roles.
func (i identity) String() string {
	who := fmt.Sprintf("%q", i.authID)
	if i.anonymous {
		who = "an anonymous client"
	}
	switch names := i.roles.Names(); len(names) {
	case 0:
		return who + " has no role here"
	case 1:
		return who + " has the role " + names[0] + " here"
	default:
		return who + " has the roles " + strings.Join(names, " and ") + " here"
	}
}

// explain adds to the router's refusal, which is but a URI, who was refused and
// what it takes. procedure is that of a CALL. Of procedures that are not under
// es. it is not said what they take, nor whether there are any.
func (i identity) explain(m *wamp.Error, procedure string) {
	if m.Error != wamp.ErrNotAuthorized || len(m.Arguments) > 0 {
		return
	}
	m.ArgumentsKw = wamp.Dict{"roles": i.roles.Names()}
	var why string
	switch {
	case m.Type == wamp.CALL && strings.HasPrefix(procedure, "es."):
		needed := roleFor(procedure).Names()
		m.ArgumentsKw["needed"] = needed
		why = fmt.Sprintf("%s takes the role %s", procedure, strings.Join(needed, " or "))
	case m.Type == wamp.CALL:
		why = "this procedure is not for every role"
	case m.Type == wamp.SUBSCRIBE:
		m.ArgumentsKw["needed"] = Reader.Names()
		why = "a subscription takes the role reader and a topic, or a pattern of them, that begins with es."
	default:
		why = "clients publish and register nothing here"
	}
	m.Arguments = wamp.List{fmt.Sprintf("%s: %s", why, i)}
}
