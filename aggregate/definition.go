package aggregate

import "github.com/verbatim-es/verbatim/schema"

// Definition is what generated code knows about an aggregate with state S. It
// is made by the generated function Define, and only Category, Commands and
// Evolve have to be there.
type Definition[S any] struct {
	// Category is the category of the aggregate's streams.
	Category string
	// Commands decides a command, by the full name of its type. The bytes are
	// a verified FlatBuffer of that type.
	Commands map[string]func(state *S, command []byte, out *Decision[S]) error
	// Evolve applies an event to the state: its type, and its data, a verified
	// FlatBuffer of that type which never changes. It fails for a type that is
	// not one of the aggregate's.
	Evolve func(state *S, typ string, data []byte) error

	// Copy returns a state that shares nothing with another that either could
	// change. nil means that an assignment does: S holds no pointers, slices or
	// maps.
	Copy func(state *S) S
	// Pack returns the state as a FlatBuffer, and Unpack reads one: bytes from
	// anywhere, which it verifies and keeps. Empty and nil slices are the same
	// to them. Without the two there are no snapshots, and the cache charges
	// for every event that a state was folded from.
	Pack   func(state *S) []byte
	Unpack func(data []byte) (S, error)

	// Schema holds the types of the aggregate, and Fingerprint names the schema
	// that Pack writes by.
	Schema      schema.Sources
	Fingerprint uint64
}

// Command is a command on its way to an aggregate.
type Command struct {
	// Type is the full name, "bank.account.Credit".
	Type string
	// Data is a FlatBuffer of that type: bytes from outside must have been
	// verified.
	Data []byte
}

// clone returns a state of its own.
func (d *Definition[S]) clone(state *S) S {
	if d.Copy == nil {
		return *state
	}
	return d.Copy(state)
}
