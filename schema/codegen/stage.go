package codegen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// Bounds of what one schema may be made of. flatc has none of its own.
const (
	maxFileSize = 4 << 20
	maxFiles    = 256
	maxDecls    = 2_000
	maxFields   = 20_000 // with values and members, of all declarations together
	maxName     = 255    // bytes of a name, and of a namespace
)

// originally matches flatc's message about a type that was used and never
// declared: what is wrong, and where the use is.
var originally = regexp.MustCompile(`^[^ ]+: [0-9]+: (error: .*), originally at: (.+:[0-9]+)$`)

// position matches flatc's way to write a line and a column.
var position = regexp.MustCompile(`^ *([0-9]+): ([0-9]+): `)

// stage is a directory that holds copies of a schema and of everything that it
// includes, and nothing else. Compiling there makes the binary schema, which
// names its files, the same on every machine, and keeps flatc from reading
// anything beside what the schema says it needs.
type stage struct {
	dir    string            // of the copies
	name   string            // of the schema in it
	origin map[string]string // slash path below dir → path as the user knows it
	main   *source
	// includes are the files beside main and es.fbs, as they are read.
	includes []staged

	decls, fields int // of all files
}

// staged is an included file: its slash path below the stage, and what it says.
type staged struct {
	name   string
	source *source
}

// newStage copies schemaPath, all it includes, and es.fbs into dir.
func newStage(dir, schemaPath string) (*stage, error) {
	s := &stage{dir: dir, name: filepath.Base(schemaPath), origin: map[string]string{}}
	if filepath.Ext(s.name) != ".fbs" {
		return nil, Problems{{File: schemaPath, Message: "not a .fbs file", Hint: "es generate reads FlatBuffers schemas"}}
	}
	if strings.HasPrefix(s.name, "-") {
		return nil, Problems{{File: schemaPath, Message: "flatc takes a name that begins with - for an option", Hint: "rename the file"}}
	}
	if err := s.write(schema.ESFile, schema.ESFile, schema.ESSource); err != nil {
		return nil, err
	}
	if s.name == schema.ESFile {
		return nil, Problems{{File: schemaPath, Message: "es.fbs is the framework's own schema", Hint: "name yours differently"}}
	}
	if err := s.add(schemaPath, s.name); err != nil {
		return nil, err
	}
	var included []*source
	for _, i := range s.includes {
		included = append(included, i.source)
	}
	s.main.share(included)
	return s, nil
}

// add copies one file and, recursively, what it includes.
func (s *stage) add(file, name string) error {
	if _, ok := s.origin[name]; ok {
		return nil
	}
	if len(s.origin) == maxFiles {
		return Problems{{File: file, Message: fmt.Sprintf("the schema includes more than %d files", maxFiles)}}
	}
	text, err := readSchema(file)
	if err != nil {
		return err
	}
	if err := s.write(name, file, text); err != nil {
		return err
	}
	src, err := parseSource(file, text)
	if err != nil {
		// Not for us to explain: flatc reports what is wrong with it.
		src = &source{file: file}
	}
	if problems := longNames(src); problems != nil {
		return problems
	}
	s.decls += len(src.decls)
	for _, d := range src.decls {
		s.fields += len(d.fields)
	}
	if s.decls > maxDecls || s.fields > maxFields {
		return Problems{{File: file, Message: fmt.Sprintf("the schema declares more than %d types, or more than %d fields and values", maxDecls, maxFields), Hint: "this is not a schema that people write"}}
	}
	if s.main == nil {
		s.main = src
	} else {
		s.includes = append(s.includes, staged{name, src})
	}
	for _, include := range src.includes {
		if err := s.addIncluded(file, name, include); err != nil {
			return err
		}
	}
	return nil
}

// longNames reports names that nobody writes, which cost flatc and its Go their
// square.
func longNames(src *source) Problems {
	var problems Problems
	look := func(name string, line int) {
		if len(name) > maxName {
			problems = append(problems, Problem{src.file, line, fmt.Sprintf("a name of %d bytes", len(name)), fmt.Sprintf("%d are the most", maxName)})
		}
	}
	for _, space := range src.spaces {
		look(space.name, space.line)
	}
	for _, d := range src.decls {
		look(d.name, d.line)
		for _, f := range d.fields {
			look(f.name, f.line)
			look(f.typ, f.line)
		}
	}
	return problems.sorted()
}

func (s *stage) addIncluded(file, name string, include include) error {
	target := path.Join(path.Dir(name), include.name)
	refuse := func(message, hint string) error {
		return Problems{{File: file, Line: include.line, Message: message, Hint: hint}}
	}
	onDisk := filepath.Join(filepath.Dir(file), filepath.FromSlash(include.name))
	if include.name == schema.ESFile {
		// A copy beside the schema serves editors and other tools. It must not
		// say something else than what is compiled.
		if beside, err := os.ReadFile(onDisk); err == nil && string(beside) != schema.ESSource {
			return refuse(fmt.Sprintf("%s differs from the es.fbs of this version", onDisk), "remove it (es generate brings its own) or copy schema/es.fbs of the module over it")
		}
		return nil
	}
	if !fs.ValidPath(target) || path.IsAbs(include.name) {
		return refuse(fmt.Sprintf("include %q lies outside the directory of the schema", include.name), "move it beside or below the schema")
	}
	err := s.add(onDisk, target)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(fmt.Sprintf("include %q: there is no %s", include.name, onDisk), "includes are relative to the file that includes")
	}
	return err
}

func (s *stage) write(name, origin, text string) error {
	s.origin[name] = origin
	target := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(target, []byte(text), 0o644)
}

// run has the compiler do what args say with the schema.
func (s *stage) run(ctx context.Context, compiler *flatc.Compiler, warn io.Writer, args ...string) error {
	return s.runOn(ctx, compiler, warn, s.name, args...)
}

// runOn has it do so with one of the files.
func (s *stage) runOn(ctx context.Context, compiler *flatc.Compiler, warn io.Writer, name string, args ...string) error {
	args = append([]string{"--require-explicit-ids", "-I", s.dir}, args...)
	if warn != nil {
		warn = &warnings{s, warn}
	}
	err := compiler.Run(ctx, s.dir, warn, append(args, name)...)
	if refused := (*flatc.Error)(nil); errors.As(err, &refused) {
		return &flatc.Error{Message: s.inOriginalPaths(refused.Message)}
	}
	if broken := (*flatc.BoundsError)(nil); errors.As(err, &broken) {
		return Problems{{File: s.main.file, Message: broken.Error()}}
	}
	return err
}

// warnings writes what flatc warns of with the paths that the user knows.
type warnings struct {
	stage *stage
	to    io.Writer
}

func (w *warnings) Write(text []byte) (int, error) {
	_, err := fmt.Fprintln(w.to, w.stage.inOriginalPaths(strings.TrimSuffix(string(text), "\n")))
	return len(text), err
}

// inOriginalPaths replaces the names of copies at the beginnings of flatc's
// messages, and gives them the usual form "file:line:column: …". Some are about
// a place earlier than where flatc noticed.
func (s *stage) inOriginalPaths(message string) string {
	var lines []string
	for line := range strings.Lines(message) {
		line = strings.TrimSuffix(line, "\n")
		if m := originally.FindStringSubmatch(line); m != nil {
			line = m[2] + ": " + m[1]
		}
		for name, origin := range s.origin {
			rest, ok := strings.CutPrefix(strings.TrimPrefix(line, filepath.ToSlash(s.dir)+"/"), name+":")
			if ok {
				line = origin + ":" + position.ReplaceAllString(rest, "$1:$2: ")
				break
			}
		}
		lines = append(lines, s.hinted(line))
	}
	return strings.Join(lines, "\n")
}

func kindOfFile(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// readSchema reads a text file of bounded size.
func readSchema(file string) (string, error) {
	// Before it is opened: opening a pipe waits for its writer.
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("read schema: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", Problems{{File: file, Message: "not a file, but a " + kindOfFile(info.Mode()), Hint: "es generate reads FlatBuffers schemas"}}
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read schema: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read schema: %w", err)
	case len(text) > maxFileSize:
		return "", Problems{{File: file, Message: fmt.Sprintf("larger than %d MiB", maxFileSize>>20), Hint: "this is not a schema that people write"}}
	case !utf8.Valid(text) || strings.ContainsRune(string(text), 0):
		return "", Problems{{File: file, Message: "not UTF-8 text", Hint: "save the file as UTF-8"}}
	}
	return string(text), nil
}
