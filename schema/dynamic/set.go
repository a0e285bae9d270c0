package dynamic

import (
	"sync"

	"github.com/verbatim-es/verbatim/schema"
)

// Set gives the tables of a [schema.Set], each schema compiled when it is first
// asked for. Schemas added to the set later are found, too. Its methods are
// safe for concurrent use.
type Set struct {
	schemas  *schema.Set
	compiled sync.Map // of *Schema by fingerprint
}

// NewSet returns the tables of the schemas in a set.
func NewSet(schemas *schema.Set) *Set { return &Set{schemas: schemas} }

// Table returns the table of a type as the schema of that fingerprint (0: the
// current one) declares it, or a [*schema.UnknownTypeError].
func (s *Set) Table(typ string, fingerprint uint64) (*Table, error) {
	if fingerprint == 0 {
		_, current, ok := s.schemas.Lookup(typ)
		if !ok {
			return nil, &schema.UnknownTypeError{Type: typ}
		}
		fingerprint = current
	}
	compiled, err := s.schema(fingerprint)
	if err != nil {
		return nil, err
	}
	if compiled != nil {
		if t, ok := compiled.Table(typ); ok {
			return t, nil
		}
	}
	return nil, &schema.UnknownTypeError{Type: typ, Fingerprint: fingerprint}
}

// schema returns the schema of that fingerprint, nil when it is not known.
func (s *Set) schema(fingerprint uint64) (*Schema, error) {
	if compiled, ok := s.compiled.Load(fingerprint); ok {
		return compiled.(*Schema), nil
	}
	source, ok := s.schemas.ByFingerprint(fingerprint)
	if !ok {
		return nil, nil
	}
	compiled, err := Compile(source.BFBS)
	if err != nil {
		return nil, err
	}
	s.compiled.Store(fingerprint, compiled)
	return compiled, nil
}
