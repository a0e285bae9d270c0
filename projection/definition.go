package projection

import (
	"errors"
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Definition is a version of a view: a table of a schema, and the function that
// keeps it. Name, version, primary key and indexes are the table's attributes.
// Generated code makes definitions from typed projectors.
type Definition struct {
	// Table is the full name of the view's table, "bank.account.Balance".
	Table string
	// Schema are the schemas that declare it.
	Schema schema.Sources
	// Version, unless it is "", stands in for the table's version. Give a
	// definition whose Apply changed, and whose table did not, another one.
	Version string
	// Types are the events that Apply sees; one that ends in '.' is a prefix,
	// and none means every event. They are types as upcasters leave them.
	Types []string
	// Apply folds one event into the view, in the log's order. It must depend
	// on nothing but the event and what tx reads, since it is called again for
	// the same event after an aborted batch and in a rebuild, which may run at
	// the same time as the view itself. An error or a panic takes back what
	// this call has changed and parks the view at the event. What takes long
	// must watch [Tx.Context].
	//
	// e and whatever tx returned are valid until Apply returns.
	Apply func(tx *Tx, e event.Event) error
}

// Index is a secondary index of a view.
type Index struct {
	// Name is the name of its field, those of a composite joined by "_".
	Name string
	// Columns are its columns, the most significant first.
	Columns []Column
	// Unique indexes hold each value once. Rows with an [Absent] column are
	// not held to it.
	Unique bool
}

// view is a version of a view: a definition, understood.
type view struct {
	name, version string
	table         string
	bfbs          []byte // of the schema that declares the table
	key           Column
	indexes       []Index
	apply         func(*Tx, event.Event) error
	types         typeSet
	plan          *verify.Plan
	// layout says line by line what rows and keys on disk depend on.
	layout []string
	fields []*schema.Field
	shapes []shape // of the types that the fields are of

	// builds are the version's two places. It is in one of them, its main
	// build; in the other one a rebuild is made, which becomes the main one.
	// The pointer to the main build changes under the engine's lock.
	builds [places]*build
	main   *build
	// skips are the events that are left out, by position. The map is replaced
	// and never changed.
	skips map[uint64]Skipped
	counters
}

// String names the version in messages and in references.
func (v *view) String() string { return v.name + "@" + v.version }

// spare is the place that is not the main build.
func (v *view) spare() *build {
	if v.main == v.builds[0] {
		return v.builds[1]
	}
	return v.builds[0]
}

func compile(def Definition) (*view, error) {
	table, parsed, plan, err := findTable(def)
	if err != nil {
		return nil, fmt.Errorf("projection: table %q: %w", def.Table, err)
	}
	shapes := shapesOf(parsed, table)
	v := &view{
		name: table.View, version: table.Version, table: table.Name, bfbs: parsed.BFBS,
		apply: def.Apply, types: newTypeSet(def.Types), plan: plan,
		layout: layoutOf(table, shapes), fields: table.Fields, shapes: shapes,
	}
	if def.Version != "" {
		v.version = def.Version
	}
	for _, name := range []string{v.name, v.version} {
		if name == "" || strings.ContainsAny(name, "/@\x00") {
			return nil, fmt.Errorf("projection: table %q: %q is no name for a view or a version: it must not be empty, nor contain '/', '@' or NUL", def.Table, name)
		}
	}
	if def.Apply == nil {
		return nil, fmt.Errorf("projection: view %q: its definition has no Apply", v.name)
	}
	var ok bool
	if v.key, ok = newColumn(table.Key); !ok || v.key.Nullable {
		return nil, fmt.Errorf("projection: view %q: the primary key %q must be a scalar without null or a required string", v.name, table.Key.Name)
	}
	for _, declared := range table.Indexes {
		index := Index{Name: declared.Name, Unique: declared.Unique}
		for _, field := range declared.Fields {
			column, ok := newColumn(field)
			if !ok {
				return nil, fmt.Errorf("projection: view %q: index %q: %s %q has no order, only scalars and strings do", v.name, index.Name, field.Type.Base, field.Name)
			}
			index.Columns = append(index.Columns, column)
		}
		v.indexes = append(v.indexes, index)
	}
	return v, nil
}

func findTable(def Definition) (*schema.Table, *schema.Schema, *verify.Plan, error) {
	for _, source := range def.Schema {
		parsed, err := source.Parse()
		if err != nil {
			return nil, nil, nil, fmt.Errorf("schema %s: %w", source.Name, err)
		}
		table, ok := parsed.Table(def.Table)
		if !ok {
			continue
		}
		if table.Role != schema.RoleView || table.Key == nil {
			return nil, nil, nil, errors.New("it is not a view: give the table the attribute view and one field pk")
		}
		plan, err := verify.CompileBFBS(source.BFBS, def.Table)
		return table, parsed, plan, err
	}
	return nil, nil, nil, errors.New("none of the definition's schemas declares it")
}

// typeSet says which events a view wants.
type typeSet struct {
	exact    map[string]bool
	prefixes []string
	all      bool
}

func newTypeSet(types []string) typeSet {
	s := typeSet{exact: make(map[string]bool, len(types)), all: len(types) == 0}
	for _, t := range types {
		if strings.HasSuffix(t, ".") {
			s.prefixes = append(s.prefixes, t)
		} else {
			s.exact[t] = true
		}
	}
	return s
}

func (s *typeSet) has(name string) bool {
	if s.all || s.exact[name] {
		return true
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
