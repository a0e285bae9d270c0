package codegen

import (
	"errors"
	"fmt"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

var (
	namespacePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
	typePattern      = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]*$`)
	fieldPattern     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// linter collects what is wrong with a schema that flatc has accepted.
type linter struct {
	*source
	problems Problems
}

// lint reports what the generator does not do and what would not compile.
func lint(src *source) Problems {
	l := &linter{source: src}
	l.namespaces()
	for _, rpc := range src.rpc {
		l.report(rpc.line, fmt.Sprintf("rpc_service %s: services are not used here", rpc.name), "declare commands as tables with (command)")
	}
	for _, d := range src.decls {
		l.decl(d)
	}
	l.includedDecls()
	l.packageNames()
	return l.problems.sorted()
}

func (l *linter) report(line int, message, hint string) {
	l.problems = append(l.problems, Problem{File: l.file, Line: line, Message: message, Hint: hint})
}

func (l *linter) namespaces() {
	if len(l.decls) == 0 {
		l.report(0, "declares nothing", "add a table with (event), (command), (aggregate) or (view)")
		return
	}
	if l.namespace == "" || l.decls[0].namespace == "" {
		l.report(l.decls[0].line, l.decls[0].name+" is declared in no namespace", `begin with "namespace yours.aggregate;"`)
		return
	}
	first := l.spaces[0]
	for _, space := range l.spaces[1:] {
		if space.name != first.name {
			l.report(space.line, fmt.Sprintf("a second namespace, %s beside %s", space.name, first.name), "give each namespace, which becomes a Go package, a file of its own")
		}
	}
	switch name := base(first.name); {
	case !namespacePattern.MatchString(first.name):
		l.report(first.line, fmt.Sprintf("namespace %q is not in lower case", first.name), "it becomes a Go package and the topics of events: use a-z, 0-9, _ and dots")
	case token.IsKeyword(name) || name == "main" || name == "internal" || name == "fb" || name == "es" || taken[name]:
		l.report(first.line, fmt.Sprintf("namespace %s would make a Go package called %s", first.name, name), "choose another last component")
	}
}

// includedDecls looks at what is used of other files as if it were in this one.
func (l *linter) includedDecls() {
	own := l.file
	for _, d := range l.shared {
		l.file = d.file
		l.decl(d)
	}
	l.file = own
}

func (l *linter) decl(d *decl) {
	switch {
	case !typePattern.MatchString(d.name):
		l.report(d.line, fmt.Sprintf("%s %s does not begin with a capital letter", d.kind, d.name), "its name is a Go type's")
	}
	if n, err := strconv.Atoi(d.attrs["force_align"]); err == nil && n > 8 {
		l.report(d.line, fmt.Sprintf("%s %s is aligned to %d bytes", d.kind, d.name, n), "records are aligned to 8: use force_align: 8 or less")
	}
	switch d.kind {
	case "enum":
		return
	case "union":
		l.union(d)
		return
	}
	methods := methodsOf(d)
	for _, f := range d.fields {
		if l.field(d, f) {
			l.problems = append(l.problems, l.accessors(methods, d, f)...)
		}
	}
}

// methodsOf begins a scope with the methods that every type of d has.
func methodsOf(d *decl) *scope {
	s := &scope{what: "type " + d.name}
	s.declare("", "Init", "a method of flatc's", 0)
	s.declare("", "Table", "a method of flatc's", 0)
	if _, ok := d.attrs["view"]; ok {
		s.declare("", "Bytes", "the row's method Bytes", 0)
	}
	return s
}

// field reports what a field may not be, and whether its name is usable.
func (l *linter) field(d *decl, f *fieldDecl) bool {
	name := d.name + "." + f.name
	if !fieldPattern.MatchString(f.name) {
		l.report(f.line, fmt.Sprintf("field %s does not begin with a letter", name), "its name is a Go method's")
		return false
	}
	if _, ok := f.attrs["deprecated"]; ok {
		return false
	}
	if n, err := strconv.Atoi(f.attrs["force_align"]); err == nil && n > 8 {
		l.report(f.line, fmt.Sprintf("field %s is aligned to %d bytes", name, n), "records are aligned to 8: use force_align: 8 or less")
	}
	if low := camel(f.name); low == "Builder" || low == "Flatbuffers" {
		l.report(f.line, fmt.Sprintf("field %s would be a parameter in flatc's Go that hides the other %s there", name, strings.ToLower(low)), "rename it")
	}
	if f.array {
		l.report(f.line, fmt.Sprintf("field %s is an array of fixed length", name), "FlatBuffers for Go has none: use a vector in a table, or single fields")
	}
	for attr, hint := range map[string]string{
		"key":        "a view's primary key is marked pk; sorted vectors are not supported",
		"flexbuffer": "use a table, or bytes ([ubyte])",
		"offset64":   "a record has less than 16 MiB",
		"vector64":   "a record has less than 16 MiB",
	} {
		if _, ok := f.attrs[attr]; ok {
			l.report(f.line, fmt.Sprintf("field %s: attribute %s is not supported", name, attr), hint)
		}
	}
	l.fieldType(d, f)
	l.nested(d, f)
	return true
}

// fieldType reports types that there are not, and those that are more than types.
func (l *linter) fieldType(d *decl, f *fieldDecl) {
	if isBuiltin(f.typ) {
		return
	}
	of, ok := l.find(d, f.typ)
	switch {
	case !ok:
		l.report(f.line, fmt.Sprintf("field %s.%s is %s, which is not declared in this file", d.name, f.name, article(f.typ)), "declare it here, or in a file of yours that is included")
	case of.kind == "union":
		l.unionField(d, f)
	case of.kind == "table" && hasRole(of):
		l.report(f.line, fmt.Sprintf("field %s.%s is %s, which is %s of its own", d.name, f.name, article(of.name), roleOf(of)), "declare a table without attribute for what they share")
	case of.kind == "table" && !f.vector:
		l.endless(d, f, of)
	}
}

// endless reports a required table that requires the one it is in.
func (l *linter) endless(d *decl, f *fieldDecl, of *decl) {
	if _, required := f.attrs["required"]; required && l.requires(of, d, map[*decl]bool{}) {
		l.report(f.line, fmt.Sprintf("field %s.%s requires %s, which requires %s again", d.name, f.name, article(of.name), article(d.name)), "no buffer can hold that: drop required from one of them")
	}
}

// requires reports whether a value of from always contains one of target. seen
// are those that were looked into.
func (l *linter) requires(from, target *decl, seen map[*decl]bool) bool {
	if from == target {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, f := range from.fields {
		name, nested := f.attrs["nested_flatbuffer"]
		if !nested {
			name = f.typ
		}
		of, ok := l.find(from, name)
		if _, required := f.attrs["required"]; ok && required && (nested || !f.vector) && of.kind == "table" && l.requires(of, target, seen) {
			return true
		}
	}
	return false
}

// accessors declares the methods that a field becomes in either layer.
func (l *linter) accessors(methods *scope, d *decl, f *fieldDecl) []Problem {
	name, by := camel(f.name), fmt.Sprintf("field %s.%s", d.name, f.name)
	names := []string{name}
	of, ok := l.find(d, f.typ)
	if f.vector {
		names = append(names, name+"Length", name+"Len", name+"At")
		if f.typ == "ubyte" || f.typ == "uint8" || ok && of.kind == "enum" {
			names = append(names, name+"Bytes")
		}
	}
	if ok && of.kind == "union" {
		names = append(names, name+"Type", name+"Kind")
		for _, member := range of.fields {
			names = append(names, name+memberName(member.name))
		}
	}
	for _, n := range names {
		if problems := methods.declare(l.file, n, by, f.line); problems != nil {
			return problems
		}
	}
	return nil
}

// packageNames reports what would be declared twice in one of the packages.
func (l *linter) packageNames() {
	low := &scope{what: "package fb"}
	for _, d := range l.alongside {
		l.lowNames(d, func(names ...string) {
			for _, name := range names {
				low.declare("", name, d.kind+" "+d.name+" of "+d.file, 0)
			}
		})
	}
	typed := &scope{what: "package " + base(l.namespace)}
	views := &scope{what: "package " + base(l.namespace) + "view"}
	typed.declare("", "Schema", "the generated Schema", 0)
	for _, prefix := range l.aggregatePrefixes() {
		for _, name := range []string{prefix + "Category", prefix + "Decision", prefix + "Decider", prefix + "Handler", "New" + prefix + "Handler", "Define" + prefix} {
			typed.declare("", name, "the generated "+name, 0)
		}
	}
	for _, d := range slices.Concat(l.decls, l.shared) {
		by := d.kind + " " + d.name
		if d.namespace != l.namespace {
			by = d.kind + " " + d.fullName()
		}
		add := func(s *scope, names ...string) {
			for _, name := range names {
				if problems := s.declare(d.file, name, by, d.line); problems != nil {
					l.problems = append(l.problems, problems...)
					return
				}
			}
		}
		l.lowNames(d, func(names ...string) { add(low, names...) })
		switch role := roleOf(d); {
		case d.kind == "enum":
			add(typed, d.name)
			for _, f := range d.fields {
				add(typed, d.name+f.name)
			}
		case d.kind == "union":
			add(typed, d.name, d.name+"Kind", d.name+"KindNONE")
			for _, member := range d.fields {
				add(typed, d.name+"Kind"+memberName(member.name))
			}
		case role == "an event":
			add(typed, d.name, d.name+"Type", d.name+"Topic", "New"+d.name, "As"+d.name, d.name+"Fields")
			if reservedEvents[d.name] {
				l.report(d.line, fmt.Sprintf("event %s would hide the method %s of Decision", d.name, d.name), "rename it")
			}
		case role == "a command":
			add(typed, d.name, d.name+"Type", "New"+d.name, d.name+"Fields", d.name+"Command")
			if reservedCommands[d.name] {
				l.report(d.line, fmt.Sprintf("command %s would hide the method %s of Handler", d.name, d.name), "rename it")
			}
		case role == "a view row":
			view := camel(d.attrs["view"])
			add(typed, d.name+"Row", "As"+d.name, "Trusted"+d.name)
			add(views, d.name)
			by = fmt.Sprintf("view %q", d.attrs["view"])
			add(views, view, view+"In", view+"Tx", view+"View", view+"Projector")
		case role == "" && d.kind == "table":
			add(typed, d.name, d.name+"Ref")
		default:
			add(typed, d.name)
		}
	}
}

// lowNames declares what flatc makes of a declaration.
func (l *linter) lowNames(d *decl, add func(...string)) {
	switch d.kind {
	case "enum", "union":
		add(d.name, "EnumNames"+d.name, "EnumValues"+d.name)
		if d.kind == "union" {
			add(d.name + "NONE")
		}
		for _, f := range d.fields {
			add(d.name + f.name)
		}
	case "struct":
		add(d.name, "Create"+d.name)
	case "table":
		add(d.name, "GetRootAs"+d.name, "GetSizePrefixedRootAs"+d.name, "Finish"+d.name+"Buffer", "FinishSizePrefixed"+d.name+"Buffer",
			d.name+"Start", d.name+"End")
		for _, f := range d.fields {
			add(d.name + "Add" + camel(f.name))
			if f.vector {
				add(d.name + "Start" + camel(f.name) + "Vector")
			}
			if of, ok := l.find(d, f.typ); ok && of.kind == "union" {
				add(d.name + "Add" + camel(f.name) + "Type")
			}
		}
	}
}

// The methods that the generated Decision and Handler have from package
// aggregate, and that a method for an event or a command would hide.
var (
	reservedEvents   = map[string]bool{"ID": true, "Version": true, "Emit": true, "Other": true, "Query": true, "Any": true}
	reservedCommands = map[string]bool{"Handle": true, "HandleAll": true, "Load": true, "Stats": true, "Category": true, "Commands": true}
)

// roleOf names what a table is for; "" for a plain part.
func roleOf(d *decl) string {
	for _, role := range [][2]string{
		{"event", "an event"}, {"command", "a command"}, {"aggregate", "an aggregate"}, {"view", "a view row"},
	} {
		if _, ok := d.attrs[role[0]]; ok {
			return role[1]
		}
	}
	return ""
}

func hasRole(d *decl) bool { return roleOf(d) != "" }

func isBuiltin(typ string) bool {
	switch typ {
	case "bool", "byte", "ubyte", "short", "ushort", "int", "uint", "float", "long", "ulong", "double", "string",
		"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64":
		return true
	}
	return false
}

// withoutIDs reports the fields that flatc --require-explicit-ids misses an id
// on; its own message is about the end of their table.
func withoutIDs(src *source) Problems {
	var problems Problems
	for _, d := range src.decls {
		if d.kind != "table" {
			continue
		}
		for _, f := range d.fields {
			if _, ok := f.attrs["id"]; !ok {
				problems = append(problems, Problem{src.file, f.line, fmt.Sprintf("field %s.%s has no id", d.name, f.name),
					"ids say what stored bytes mean, whatever order fields are in: add (id: n), counting from 0"})
			}
		}
	}
	return problems.sorted()
}

// lintModel reports what only the parsed model shows.
func lintModel(src *source, s *schema.Schema) Problems {
	var problems Problems
	roles := 0
	for _, t := range s.Tables {
		if t.Role != schema.RoleNone {
			roles++
		}
	}
	if roles == 0 {
		problems = append(problems, Problem{src.file, 0, "declares no aggregate, event, command or view", `mark tables, for example "table Opened (event) {…}"`})
	}
	events := 0
	for _, t := range s.Tables {
		if t.Role == schema.RoleEvent {
			events++
		}
	}
	for _, t := range s.Tables {
		if t.Role == schema.RoleView && events == 0 {
			problems = append(problems, Problem{src.file, src.lineOf(t.Name), fmt.Sprintf("view %s in a namespace without events", t.Name), "declare it beside the events that it shows"})
		}
	}
	return slices.Concat(problems, strayMessages(src, s), lostDefaults(src, s)).sorted()
}

// strayMessages reports events and commands of an aggregate that another file
// declares, whose package would have no decider for them.
func strayMessages(src *source, s *schema.Schema) (problems Problems) {
	for _, t := range s.Tables {
		if t.Role != schema.RoleEvent && t.Role != schema.RoleCommand {
			continue
		}
		if _, here := s.Table(t.State); !here {
			problems = append(problems, Problem{src.file, src.lineOf(t.Name),
				fmt.Sprintf("%s %s belongs to aggregate %s, which is declared in a file that is included", t.Role, t.Name, t.State),
				"declare an aggregate, its events and its commands in one file, which becomes one Go package"})
		}
	}
	return problems
}

// lineOf finds the declaration of a table, or of a field given as
// "namespace.Table.field"; 0 when there is none.
func (s *source) lineOf(name string) int {
	return s.lines[name]
}

// inModelError gives what schema.Parse refused the lines it is about.
func (s *source) inModelError(err error) error {
	wrong := (*schema.FindingsError)(nil)
	if !errors.As(err, &wrong) {
		return Problems{{File: s.file, Message: err.Error()}}
	}
	var problems Problems
	for _, f := range wrong.Findings {
		at := f.Table
		if f.Field != "" {
			at += "." + f.Field
		}
		problems = append(problems, Problem{File: s.file, Line: s.lineOf(at), Message: f.String()})
	}
	return problems.sorted()
}

// inDuplicates gives what flatc declares twice the lines of the types.
func (s *source) inDuplicates(err error) error {
	twice := (*flatc.DuplicateError)(nil)
	if !errors.As(err, &twice) {
		return err
	}
	var problems Problems
	for _, name := range twice.Names {
		typ, _, _ := strings.Cut(name, ".")
		problems = append(problems, Problem{s.file, s.lineOf(s.namespace + "." + typ), "flatc's Go would declare " + name + " twice", "rename a field or a type"})
	}
	return problems.sorted()
}
