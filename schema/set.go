package schema

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Set is the schemas that a process knows: for every type the current one,
// which data without a fingerprint is taken for, and by fingerprint every
// other that ever was. It grows only. All methods may be called at any time
// from any goroutine; reading never waits.
type Set struct {
	growing sync.Mutex
	now     atomic.Pointer[snapshot]
}

// snapshot is a state of a set, never changed once it is published.
type snapshot struct {
	schemas map[uint64]*Schema // by fingerprint
	current map[string]*Schema // by type
	wires   map[string]string  // types by wire name, see wireNames
	tables  []*Table           // of current, sorted by name
	grown   chan struct{}      // closed by the next change
}

// Load returns a set in which all sources are current. The error names the
// source that cannot be parsed, or declares what another one declares already.
func Load(sources ...Sources) (*Set, error) {
	set := new(Set)
	set.now.Store(&snapshot{
		schemas: map[uint64]*Schema{},
		current: map[string]*Schema{},
		wires:   map[string]string{},
		grown:   make(chan struct{}),
	})
	from := make(map[string]string)
	for _, source := range slices.Concat(sources...) {
		s, err := source.Parse()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Name, err)
		}
		for _, t := range s.Tables {
			if known := set.now.Load().current[t.Name]; known != nil && known.Fingerprint != s.Fingerprint {
				return nil, fmt.Errorf("%s: %q is declared in %s already, in another way", source.Name, t.Name, from[t.Name])
			}
			from[t.Name] = source.Name
		}
		if err := set.admit(s, true); err != nil {
			return nil, fmt.Errorf("%s: %w", source.Name, err)
		}
	}
	return set, nil
}

// Add parses a .bfbs and makes it the current schema of every type that it
// declares. Types of an earlier version that it no longer declares stay
// current as they were, for there may be data of them, but for views and states
// of aggregates: those are made anew, and only the last version's are there.
// The set is unchanged when there is an error.
func (s *Set) Add(bfbs []byte) (*Schema, error) {
	return s.parse(bfbs, true)
}

// Remember parses a .bfbs that wrote data in the past, and makes it known by
// its fingerprint only: what is current does not change.
func (s *Set) Remember(bfbs []byte) (*Schema, error) {
	return s.parse(bfbs, false)
}

func (s *Set) parse(bfbs []byte, current bool) (*Schema, error) {
	parsed, err := Parse(bfbs)
	if err != nil {
		return nil, err
	}
	return parsed, s.admit(parsed, current)
}

func (s *Set) admit(added *Schema, current bool) error {
	return s.grow([]*Schema{added}, current, nil)
}

// Grow makes schemas from [Parse] current, as [Set.Add] does, all of them or
// none: keep is called once nothing stands against them and before anything of
// them is visible, and its error, if there is one, is returned with the set
// unchanged. A store keeps them durably there. Other changes of the set wait
// meanwhile; reading does not.
func (s *Set) Grow(added []*Schema, keep func() error) error {
	return s.grow(added, true, keep)
}

func (s *Set) grow(added []*Schema, current bool, keep func() error) error {
	s.growing.Lock()
	defer s.growing.Unlock()
	old := s.now.Load()
	next := &snapshot{
		schemas: maps.Clone(old.schemas),
		current: maps.Clone(old.current),
		wires:   maps.Clone(old.wires),
		tables:  old.tables,
		grown:   make(chan struct{}),
	}
	for _, schema := range added {
		if known := next.schemas[schema.Fingerprint]; known != nil {
			if !known.Equal(schema) {
				return fmt.Errorf("schema: fingerprint %016x already belongs to another schema, of %q: change a name in one of them", schema.Fingerprint, known.File)
			}
			schema = known // its comments, if they differ, are kept
		}
		next.schemas[schema.Fingerprint] = schema
		if current {
			if err := next.promote(schema); err != nil {
				return err
			}
		}
	}
	if keep != nil {
		if err := keep(); err != nil {
			return err
		}
	}
	s.now.Store(next)
	close(old.grown)
	return nil
}

// Grown returns a channel that is closed when the set next changes. Take it
// before looking at the set, so that no change falls in between.
func (s *Set) Grown() <-chan struct{} { return s.now.Load().grown }

// promote makes added the current schema of its types.
func (n *snapshot) promote(added *Schema) error {
	replaced := make(map[*Schema]bool)
	for _, t := range added.Tables {
		replaced[n.current[t.Name]] = true
	}
	for typ, old := range n.current {
		t := old.tables[typ]
		_, again := added.tables[typ]
		remade := replaced[old] && (t.Role == RoleView || t.Role == RoleAggregate)
		if !again && !remade {
			continue
		}
		for _, name := range wireNames(t) {
			delete(n.wires, name)
		}
		delete(n.current, typ)
	}
	for _, t := range added.Tables {
		n.current[t.Name] = added
	}
	for _, t := range added.Tables {
		for _, name := range wireNames(t) {
			if other, ok := n.wires[name]; ok {
				return fmt.Errorf("schema: %q has the same wire name as %q, %q: rename one, or set its attribute name", t.Name, other, name)
			}
			n.wires[name] = t.Name
		}
	}
	n.tables = nil
	for name, s := range n.current {
		n.tables = append(n.tables, s.tables[name])
	}
	slices.SortFunc(n.tables, func(a, b *Table) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// Types returns the tables of all current schemas, whatever their role, sorted
// by name. The slice is shared and must not be changed.
func (s *Set) Types() []*Table {
	return s.now.Load().tables
}

// Schemas returns all schemas of the set, current or not, by fingerprint.
func (s *Set) Schemas() []*Schema {
	schemas := slices.Collect(maps.Values(s.now.Load().schemas))
	slices.SortFunc(schemas, func(a, b *Schema) int { return cmp.Compare(a.Fingerprint, b.Fingerprint) })
	return schemas
}

// Lookup returns the current table of a type and the fingerprint of its schema.
func (s *Set) Lookup(typ string) (t *Table, fingerprint uint64, ok bool) {
	current := s.now.Load().current[typ]
	if current == nil {
		return nil, 0, false
	}
	return current.tables[typ], current.Fingerprint, true
}

// ByFingerprint returns the schema of that fingerprint, current or not.
func (s *Set) ByFingerprint(fingerprint uint64) (*Schema, bool) {
	schema, ok := s.now.Load().schemas[fingerprint]
	return schema, ok
}

// find returns the schema that declares a type: that of the fingerprint, the
// current one for 0.
func (s *Set) find(typ string, fingerprint uint64) (*Schema, *Table) {
	now := s.now.Load()
	found := now.current[typ]
	if fingerprint != 0 {
		found = now.schemas[fingerprint]
	}
	if found == nil {
		return nil, nil
	}
	return found, found.tables[typ]
}

// Verify accepts data when it is a buffer of that type, without size prefix, as
// the schema of that fingerprint (0: the current one) declares it, and nothing
// more: a field that this schema does not know is refused, because the bytes
// are stored under its fingerprint and will be read, unchecked, by code of a
// later schema that may know the field. The tags declared in the schema must
// also come out legal.
//
// The error is a [*UnknownTypeError] or a [*verify.Error].
func (s *Set) Verify(typ string, fingerprint uint64, data []byte) error {
	schema, table := s.find(typ, fingerprint)
	if table == nil {
		return &UnknownTypeError{Type: typ, Fingerprint: fingerprint}
	}
	if err := schema.plans[typ].VerifyExact(data); err != nil {
		return err
	}
	return checkTags(table, data)
}

// VerifyReadable accepts data that code of the current schema of a type can
// read, whichever version of it wrote them: a field that this schema does not
// know is passed over, as that code does. It is for bytes that come from another
// process, not for what is to be stored.
//
// The error is a [*UnknownTypeError] or a [*verify.Error].
func (s *Set) VerifyReadable(typ string, data []byte) error {
	schema, table := s.find(typ, 0)
	if table == nil {
		return &UnknownTypeError{Type: typ}
	}
	return schema.plans[typ].Verify(data)
}

// VerifyRow is [Set.VerifyReadable] for a row of a view, which has a size
// prefix. typ is the type of the view's rows.
func (s *Set) VerifyRow(typ string, row []byte) error {
	schema, table := s.find(typ, 0)
	if table == nil {
		return &UnknownTypeError{Type: typ}
	}
	return schema.plans[typ].VerifySizePrefixed(row)
}

// AppendTags appends to dst the tags "key:value" that the schema of that
// fingerprint (0: the current one) declares for data, which [Set.Verify]
// accepted with the same arguments: numbers in decimal, bools as true or
// false, one tag for each string of a vector. An absent scalar that has a
// default counts as its default; an absent or empty string gives no tag. Tags
// that are in dst already are not repeated. For an unknown type it returns dst.
func (s *Set) AppendTags(dst []string, typ string, fingerprint uint64, data []byte) []string {
	if _, table := s.find(typ, fingerprint); table != nil {
		return appendTags(dst, table, data)
	}
	return dst
}

// AppendTagsUnverified is [Set.AppendTags] for data that nobody has verified. No
// byte outside of data is read, whatever it says. Its error is a
// [*UnknownTypeError], or a [*verify.Error] where the tags can't be read or are
// not legal; that there is none says nothing about the rest of data.
func (s *Set) AppendTagsUnverified(dst []string, typ string, fingerprint uint64, data []byte) ([]string, error) {
	_, table := s.find(typ, fingerprint)
	if table == nil {
		return dst, &UnknownTypeError{Type: typ, Fingerprint: fingerprint}
	}
	return appendTagsUnverified(dst, table, data)
}
