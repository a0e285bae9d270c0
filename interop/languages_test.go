package interop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// clientCode is what es generate --lang python,ts writes for the bank.
var clientCode = sync.OnceValues(func() ([]codegen.File, error) {
	languages := []string{"python", "ts"}
	ctx := context.Background()
	compiler, err := flatc.Find(ctx, flatc.Options{Languages: languages, Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	return codegen.GenerateClients(ctx, compiler, codegen.Options{Out: "out"}, languages, "../examples/bank/bank.fbs")
})

// bankPage are three events of the bank, as a page, and what the examples in
// docs/LANGUAGES.md say about them.
func bankPage(t *testing.T) (page []byte, want string) {
	t.Helper()
	events := []event.Proposed{
		account.NewOpened("Åse 🦊"),
		account.NewCredited(account.CreditedFields{Amount: 1 << 40, Memo: "from Go"}),
		account.NewClosed(),
	}
	a := event.Append{Stream: "account-7", Events: events}
	for i, p := range events {
		record, err := event.BuildRecord(&a, i, p.Schema, nil)
		must(t, err)
		event.Seal(record, event.ID{byte(i) + 1}, uint64(i)+1, uint64(i)+1)
		page = append(page, record...)
	}
	return page, "account-7 opened by Åse 🦊\naccount-7 +1099511627776 from Go\naccount-7 bank.account.Closed\n"
}

// project writes the generated code and the documentation's example of that
// name to a directory, and returns it.
func project(t *testing.T, example string) string {
	t.Helper()
	files, err := clientCode()
	if errors.As(err, new(*flatc.NoCompilerError)) {
		need(t, err.Error())
	}
	must(t, err)
	dir := t.TempDir()
	for _, f := range files {
		below, err := filepath.Rel("out", f.Path)
		must(t, err)
		write(t, filepath.Join(dir, below), f.Content)
	}
	text, err := os.ReadFile("../docs/LANGUAGES.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(text), "<!-- "+example+" -->\n```")
	_, rest, _ = strings.Cut(rest, "\n")
	code, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("docs/LANGUAGES.md has no block %s", example)
	}
	write(t, filepath.Join(dir, example), []byte(code+"\n"))
	return dir
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, content, 0o644))
}

func copyClient(t *testing.T, dir, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../docs/clients", name))
	must(t, err)
	write(t, filepath.Join(dir, name), content)
}

// written checks an event that another language's runtime has built.
func written(t *testing.T, data []byte) {
	t.Helper()
	set, err := schema.Load(account.Schema)
	must(t, err)
	if err := set.Verify(account.CreditedType, 0, data); err != nil {
		t.Fatal(err)
	}
	a := event.Append{Stream: "account-7", Events: []event.Proposed{{Type: account.CreditedType, Data: data}}}
	record, err := event.BuildRecord(&a, 0, 0, nil)
	must(t, err)
	if c, _ := account.AsCredited(event.Trusted(record)); c.Amount() != -1<<40 || c.Memo() != "Åse 🦊" {
		t.Errorf("read %d, %q", c.Amount(), c.Memo())
	}
}

func TestGeneratedPython(t *testing.T) {
	t.Parallel()
	python := installed(t, ".venv", "bin", "python")
	dir := project(t, "bank_events.py")
	must(t, os.Rename(filepath.Join(dir, "python", "bank"), filepath.Join(dir, "bank")))
	copyClient(t, dir, "es.py")
	// What is read here has been through flatc's Python, numpy or not.
	write(t, filepath.Join(dir, "main.py"), []byte(`import asyncio, sys
from bank_events import read

page = sys.stdin.buffer.read()

async def call(procedure, args, kwargs):
    assert procedure == "es.read" and kwargs["types"] == ["bank.account."], (procedure, kwargs)
    return [page], {"store": "s", "last": 3, "head": 3, "count": 3, "more": False}

asyncio.run(read(call))
`))
	page, want := bankPage(t)
	out, err := output(t, page, python, filepath.Join(dir, "main.py"))
	must(t, err)
	if string(out) != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
}

// What Python builds, Go reads.
func TestGeneratedPythonWrites(t *testing.T) {
	t.Parallel()
	python := installed(t, ".venv", "bin", "python")
	dir := project(t, "bank_events.py")
	must(t, os.Rename(filepath.Join(dir, "python", "bank"), filepath.Join(dir, "bank")))
	write(t, filepath.Join(dir, "main.py"), []byte(`import sys
import flatbuffers
from bank.account import Credited

b = flatbuffers.Builder(0)
memo = b.CreateString("Åse 🦊")
Credited.CreditedStart(b)
Credited.CreditedAddAmount(b, -(1 << 40))
Credited.CreditedAddMemo(b, memo)
b.Finish(Credited.CreditedEnd(b))
sys.stdout.buffer.write(bytes(b.Output()))
`))
	data, err := output(t, nil, python, filepath.Join(dir, "main.py"))
	must(t, err)
	written(t, data)
}

func TestGeneratedTypeScript(t *testing.T) {
	t.Parallel()
	node := program(t, "node")
	tsc := installed(t, "node_modules", "typescript", "bin", "tsc")
	installed(t, "node_modules", "flatbuffers")
	dir := project(t, "bank_events.js")
	modules, err := filepath.Abs("node_modules")
	must(t, err)
	must(t, os.Symlink(modules, filepath.Join(dir, "node_modules")))
	write(t, filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`))
	copyClient(t, dir, "es.js")
	if out, err := output(t, nil, node, tsc, "--outDir", filepath.Join(dir, "js"), "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler",
		filepath.Join(dir, "ts", "bank", "account.ts")); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "main.js"), []byte(`import { readFileSync } from 'node:fs'
import { read } from './bank_events.js'

const page = readFileSync(0)
const call = async (procedure, args, kwargs) => {
  if (procedure !== 'es.read' || kwargs.types[0] !== 'bank.account.') throw new Error(procedure)
  return { args: [page], kwargs: { store: 's', last: 3, head: 3, count: 3, more: false } }
}
await read(call, (line) => console.log(line))
`))
	page, want := bankPage(t)
	out, err := output(t, page, node, filepath.Join(dir, "main.js"))
	must(t, err)
	if string(out) != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
	write(t, filepath.Join(dir, "build.js"), []byte(`import * as flatbuffers from 'flatbuffers'
import { Credited } from './js/account.js'

const b = new flatbuffers.Builder()
const memo = b.createString('Åse 🦊')
Credited.startCredited(b)
Credited.addAmount(b, -(1n << 40n))
Credited.addMemo(b, memo)
b.finish(Credited.endCredited(b))
process.stdout.write(b.asUint8Array())
`))
	out, err = output(t, nil, node, filepath.Join(dir, "build.js"))
	must(t, err)
	written(t, out)
}
