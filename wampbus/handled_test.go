package wampbus

import (
	"context"
	"errors"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"
)

// A call that was let through to one procedure, and meets another one under its
// URI that its caller may not call, is refused.
func TestRoleIsCheckedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has, takes Roles
		may        bool
	}{{Reader, Reader, true}, {Reader, Admin, false}, {Commander, Writer, false}, {Writer | Commander, Writer, true}, {Admin, Writer, true}} {
		served := false
		h := &handled{uri: "bank.x", running: make(chan struct{}, 1), Procedure: Procedure{Role: c.takes, Serve: func(context.Context, *Request) (Reply, error) {
			served = true
			return Reply{}, nil
		}}}
		s := &session{box: newOutbox(1, nil)}
		in := &invocation{caller: &caller{party: s, call: new(pendingCall), roles: c.has}, arguments: newArguments(nil, nil)}
		_, err := h.serve(t.Context(), in)
		var refused *ProcedureError
		if served != c.may || c.may != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.URI != string(wamp.ErrNotAuthorized)) {
			t.Errorf("%v calls what takes %v: served %v, %v", c.has, c.takes, served, err)
		}
	}
}
