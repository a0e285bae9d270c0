package main

import (
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

// dataFilter is an expression over events of any type. The nil one matches all.
type dataFilter struct {
	expression *dynamic.Expression
	tables     *dynamic.Set
	compiled   map[typeVersion]*dynamic.Filter // nil where the type has not the fields
}

// typeVersion is a type as one schema declares it.
type typeVersion struct {
	name        string
	fingerprint uint64
}

// unfitError is an expression that makes sense for no event type of any schema
// there is.
type unfitError struct{ reasons []error }

func (e *unfitError) Error() string {
	return fmt.Sprintf("--where fits no event type of this store:\n%v", errors.Join(e.reasons...))
}

// newDataFilter returns an *unfitError together with the filter, which is good
// for schemas to come.
func newDataFilter(text string, schemas *schema.Set, tables *dynamic.Set) (*dataFilter, error) {
	if text == "" {
		return nil, nil
	}
	expression, err := dynamic.ParseFilter(text)
	if err != nil {
		return nil, fmt.Errorf("--where: %w", err)
	}
	f := &dataFilter{expression: expression, tables: tables, compiled: make(map[typeVersion]*dynamic.Filter)}
	fits := false
	var reasons []error
	for _, s := range schemas.Schemas() {
		for _, t := range s.Tables {
			if t.Role != schema.RoleEvent {
				continue
			}
			if _, err := f.compile(typeVersion{t.Name, s.Fingerprint}); err != nil {
				reasons = append(reasons, err)
			} else {
				fits = true
			}
		}
	}
	if len(reasons) > 0 && !fits {
		return f, &unfitError{reasons}
	}
	return f, nil
}

// compile returns the filter of a type, nil with an error where the type has not
// the fields. Where its schema is of no use nothing is kept, and match says so.
func (f *dataFilter) compile(version typeVersion) (*dynamic.Filter, error) {
	table, err := f.tables.Table(version.name, version.fingerprint)
	if err != nil {
		return nil, err
	}
	filter, err := f.expression.Compile(table)
	f.compiled[version] = filter
	return filter, err
}

func (f *dataFilter) match(e event.Event) (bool, error) {
	if f == nil {
		return true, nil
	}
	version := typeVersion{e.Type(), e.Schema()}
	filter, known := f.compiled[version]
	if !known { // a schema that came later
		var err error
		filter, err = f.compile(version)
		if _, known = f.compiled[version]; !known {
			return false, err
		}
	}
	if filter == nil {
		return false, nil
	}
	return filter.Match(e.Data())
}
