package schema

import "fmt"

// UnknownTypeError says that a set has no schema for a type, or not the one
// with the fingerprint asked for.
type UnknownTypeError struct {
	Type        string
	Fingerprint uint64 // 0 when the current schema was asked for
}

func (e *UnknownTypeError) Error() string {
	if e.Fingerprint == 0 {
		return fmt.Sprintf("no schema declares type %q: register the schema that does", e.Type)
	}
	return fmt.Sprintf("no schema with fingerprint %016x declares type %q: register the schema that the data was built with", e.Fingerprint, e.Type)
}

// StaleError says that generated Go code must be generated again.
type StaleError struct {
	Schema string // the name of the .fbs file
	Reason string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("its generated Go is stale: %s: run \"go tool es generate %s\", with es of the version in go.mod", e.Reason, e.Schema)
}
