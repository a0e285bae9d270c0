package wampbus

import (
	"strings"

	"github.com/gammazero/nexus/v3/wamp"
)

// authorizer decides what a session may do at the router: nothing, unless said
// here. What it may call of the bus's own is decided by mayCall.
type authorizer struct{ bus *Bus }

// Authorize implements the router's interface. An error is a refusal with a
// message, for those whose request makes no sense.
func (a authorizer) Authorize(s *wamp.Session, m wamp.Message) (bool, error) {
	transport := transportOf(s.Details)
	if server, ok := transport.(*localPeer); ok {
		return a.bus.owns(server), nil
	}
	client, ok := transport.(*session)
	if !ok {
		return false, nil
	}
	authrole, _ := wamp.AsString(s.Details["authrole"])
	roles, err := ParseRoles(authrole)
	if err != nil {
		return false, nil
	}
	switch m := m.(type) {
	case *wamp.Call: // of the router's own procedures: others go past it
		m.Options = wamp.Dict{} // the router's own timers outlive it
		role := metaCalls[string(m.Procedure)]
		return role != 0 && roles.Has(role), nil
	case *wamp.Subscribe:
		match, _ := m.Options[wamp.OptMatch].(string)
		if !roles.Has(Reader) || !within(string(m.Topic), match, "es.") {
			return false, nil
		}
		client.allowed(m.Request, interest{topic: string(m.Topic), match: match})
		return true, nil
	case *wamp.Unsubscribe, *wamp.Cancel, *wamp.Goodbye, *wamp.Abort:
		return true, nil
	}
	return false, nil // PUBLISH, REGISTER, and whatever may be invented
}

// mayCall decides by the role that a procedure takes.
func (b *Bus) mayCall(roles Roles, procedure string) bool {
	if h := b.handler(procedure); h != nil {
		return roles.Has(h.Role)
	}
	return strings.HasPrefix(procedure, "es.") && roles.Has(roleFor(procedure))
}

// metaCalls are the router's own procedures that may be called, and by whom.
// Testaments, kill and modify are not among them: testaments are published past
// this authorizer.
var metaCalls = map[string]Roles{
	string(wamp.MetaProcSessionCount): Reader,
	string(wamp.MetaProcSessionList):  Admin,
	string(wamp.MetaProcSessionGet):   Admin,
	string(wamp.MetaProcRegLookup):    Reader,
	string(wamp.MetaProcRegMatch):     Reader,
	string(wamp.MetaProcSubLookup):    Reader,
	string(wamp.MetaProcSubMatch):     Reader,
}

// roleFor is the role that a procedure under es. takes; of several, any. One
// that does not exist takes Reader: the answer is that it does not exist.
func roleFor(procedure string) Roles {
	switch {
	case procedure == "es.append":
		return Writer
	case procedure == "es.key":
		return Writer | Commander
	case procedure == "es.schema.register":
		return Admin
	case strings.HasPrefix(procedure, "es.command."):
		return Commander
	}
	return Reader
}

// within reports whether every URI that a pattern matches starts with prefix.
func within(pattern, match, prefix string) bool {
	if match == wamp.MatchWildcard {
		// What stands before the first empty component is matched literally,
		// its dot included.
		parts := strings.Split(pattern, ".")
		for i, part := range parts {
			if part == "" {
				pattern = strings.Join(append(parts[:i:i], ""), ".")
				break
			}
		}
	}
	return strings.HasPrefix(pattern, prefix)
}

// transportOf returns what this package attached to a session's details. They
// never come from the client: its own "transport" is not kept.
func transportOf(details wamp.Dict) any {
	transport, _ := details["transport"].(wamp.Dict)
	private, _ := transport["auth"].(wamp.Dict)
	return private["peer"]
}

// transportDetails are the details of a session that the router may show, with
// the peer where it shows nobody.
func transportDetails(kind, remote string, peer any) wamp.Dict {
	return wamp.Dict{"type": kind, "peer": remote, "auth": wamp.Dict{"peer": peer}}
}
