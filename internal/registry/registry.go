// Package registry decides which schemas a log takes, and remembers all that it
// ever took. The local store and the store in memory share it; where schemas
// are kept is theirs. It needs no cgo.
package registry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Rules are what a registry asks of new schemas. What was kept before is not
// asked again.
type Rules struct {
	// Mode is what a schema must keep with the versions of it that there are.
	Mode compat.Mode
	// MaxSchemas is how many schemas there may be, and MaxBytes how many bytes
	// they may have together; 0 is no limit.
	MaxSchemas, MaxBytes int
}

// Registry is the schemas of one log. It is safe for concurrent use.
type Registry struct {
	rules Rules
	keep  func([]*schema.Schema) error
	set   *schema.Set

	mu      sync.Mutex
	history []*schema.Schema // in the order in which they became current
	bytes   int              // of all of them
}

// New returns a registry of the schemas that were kept before, in their order.
// keep makes new schemas durable, all or none; nil keeps nothing.
func New(rules Rules, keep func([]*schema.Schema) error, kept [][]byte) (*Registry, error) {
	if _, err := rules.Mode.MarshalText(); err != nil {
		return nil, err
	}
	set, err := schema.Load()
	if err != nil {
		return nil, err
	}
	r := &Registry{rules: rules, keep: keep, set: set}
	return r, r.Learn(kept)
}

// Set is the schemas registered. It grows with the registry, and must not be
// grown by others.
func (r *Registry) Set() *schema.Set { return r.set }

// Register takes schemas, all or none. Those that are known are left as they
// are: an old version does not become current again. The others are kept, and
// then current for the types that they declare.
//
// A schema that breaks what the mode asks for is a [*compat.IncompatibleError],
// one for each when there are several, joined; bytes that are no schema are an
// [*event.InvalidDataError], and what can't be in one log with the schemas that
// are there an [*event.ArgumentError]. More of them than the rules allow are an
// [*event.TooLargeError]. Other errors are keep's.
func (r *Registry) Register(sources ...schema.Source) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var added []*schema.Schema
	var names []string
	for _, source := range sources {
		s, err := schema.Parse(source.BFBS)
		if err != nil {
			return named(source, invalid(err))
		}
		known, ok := r.set.ByFingerprint(s.Fingerprint)
		if ok && known.Equal(s) || slices.ContainsFunc(added, s.Equal) {
			continue
		}
		added, names = append(added, s), append(names, cmp.Or(s.File, source.Name))
	}
	if len(added) == 0 {
		return nil
	}
	size, err := r.sizeWith(added)
	if err != nil {
		return err
	}
	var broken []error
	for i, s := range added {
		findings, err := r.check(s, added)
		if err != nil {
			return err
		}
		if len(findings) > 0 {
			broken = append(broken, &compat.IncompatibleError{Schema: names[i], Mode: r.rules.Mode, Findings: findings, Older: r.older(s)})
		}
	}
	if len(broken) > 0 {
		return errors.Join(broken...)
	}
	var failed error
	err = r.set.Grow(added, func() error {
		if r.keep != nil {
			failed = r.keep(added)
		}
		return failed
	})
	if err != nil && failed == nil {
		return &event.ArgumentError{Argument: "bfbs", Message: err.Error()}
	}
	if err == nil {
		r.history, r.bytes = append(r.history, added...), size
	}
	return err
}

// sizeWith returns how many bytes all schemas have together with those, if the
// rules allow them.
func (r *Registry) sizeWith(added []*schema.Schema) (size int, err error) {
	size = r.bytes
	for _, s := range added {
		size += len(s.BFBS)
	}
	if count := len(r.history) + len(added); r.rules.MaxSchemas > 0 && count > r.rules.MaxSchemas {
		return 0, &event.TooLargeError{Bound: "max_schemas", Limit: uint64(r.rules.MaxSchemas), Actual: uint64(count)}
	}
	if r.rules.MaxBytes > 0 && size > r.rules.MaxBytes {
		return 0, &event.TooLargeError{Bound: "max_schema_bytes", Limit: uint64(r.rules.MaxBytes), Actual: uint64(size)}
	}
	return size, nil
}

// Learn takes schemas that another process has kept, in their order. They are
// what the log has, so there is nothing to decide.
func (r *Registry) Learn(kept [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, bfbs := range kept {
		s, err := schema.Parse(bfbs)
		if err == nil {
			err = r.set.Grow([]*schema.Schema{s}, nil)
		}
		if err != nil {
			return fmt.Errorf("kept schema %d of %d: %w", i+1, len(kept), err)
		}
		r.history, r.bytes = append(r.history, s), r.bytes+len(bfbs)
	}
	return nil
}

// check compares a schema with all versions of it: the schemas that declare a
// table of the same name. One that shares no table with another is no version
// of it, whatever their files are called.
func (r *Registry) check(s *schema.Schema, added []*schema.Schema) ([]compat.Finding, error) {
	versions := r.versions(s)
	history := make([][]byte, len(versions))
	for i, old := range versions {
		history[i] = old.BFBS
	}
	findings, err := compat.CheckHistory(history, s.BFBS, r.rules.Mode)
	return slices.DeleteFunc(findings, func(f compat.Finding) bool {
		return f.Rule == compat.TableRemoved && r.elsewhere(f.Location, versions, added)
	}), err
}

// versions are those that there are of a schema, from the oldest.
func (r *Registry) versions(s *schema.Schema) (versions []*schema.Schema) {
	for _, old := range r.history {
		if slices.ContainsFunc(old.Tables, func(t *schema.Table) bool { _, ok := s.Table(t.Name); return ok }) {
			versions = append(versions, old)
		}
	}
	return versions
}

// older reports whether a schema would have been in order before all versions
// that there are of it.
func (r *Registry) older(s *schema.Schema) bool {
	for _, version := range r.versions(s) {
		findings, err := compat.Check(s.BFBS, version.BFBS, r.rules.Mode)
		if err != nil || len(findings) > 0 {
			return false
		}
	}
	return true
}

// elsewhere reports whether a table that the versions have is one of another
// schema now, or together with this one.
func (r *Registry) elsewhere(table string, versions, added []*schema.Schema) bool {
	for _, s := range added {
		if _, ok := s.Table(table); ok {
			return true
		}
	}
	_, fingerprint, ok := r.set.Lookup(table)
	return ok && !slices.ContainsFunc(versions, func(s *schema.Schema) bool { return s.Fingerprint == fingerprint })
}

func named(source schema.Source, err error) error {
	if source.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", source.Name, err)
}

// invalid is why bytes are no schema.
func invalid(err error) error {
	refused := &event.InvalidDataError{Type: "reflection.Schema", Message: err.Error()}
	var at *verify.Error
	if errors.As(err, &at) {
		refused.Path, refused.Offset, refused.Message = at.Path, at.Offset, at.Message
	}
	return refused
}
