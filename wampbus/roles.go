package wampbus

import (
	"fmt"
	"strings"
)

// Roles is a set of roles: what a session may do. A WAMP authrole is one or
// more of their names, separated by commas.
type Roles uint8

// The roles. Every one includes Reader; Writer and Commander do not include
// each other, because an append goes past the decisions of the aggregates.
const (
	// Reader reads events, views and schemas, and subscribes.
	Reader Roles = 1 << iota
	// Writer also appends events.
	Writer
	// Commander also sends commands.
	Commander
	// Admin may do everything that a client can.
	Admin
)

var roleNames = []struct {
	role Roles
	name string
}{{Reader, "reader"}, {Writer, "writer"}, {Commander, "commander"}, {Admin, "admin"}}

// Has reports whether the roles allow what role allows, or any one of several.
func (r Roles) Has(role Roles) bool {
	if role == Reader {
		return r != 0
	}
	return r&(role|Admin) != 0
}

// Names lists the roles, weakest first.
func (r Roles) Names() []string {
	names := []string{}
	for _, n := range roleNames {
		if r&n.role != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// String is the roles as an authrole.
func (r Roles) String() string { return strings.Join(r.Names(), ",") }

// ParseRoles is the inverse of [Roles.String]. The empty string is no role.
func ParseRoles(authrole string) (Roles, error) {
	var roles Roles
	for _, name := range strings.Split(authrole, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		role := roleNamed(name)
		if role == 0 {
			return 0, fmt.Errorf("role %q is unknown: use reader, writer, commander or admin", name)
		}
		roles |= role
	}
	return roles, nil
}

func roleNamed(name string) Roles {
	for _, n := range roleNames {
		if n.name == name {
			return n.role
		}
	}
	return 0
}
