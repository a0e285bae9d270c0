package codegen

import (
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	src, err := parseSource("x.fbs", `
// table Not (event) {}
include "es.fbs"; attribute "mine";
/* table Neither {
*/ namespace a . b;
enum E : ubyte (bit_flags) { A = 1, B (mine: "x,}"), /// C
  C }
table T (event, name: "t;{") { x:[ a.b.S ] (id: 0);
  y:string = "}" (id: 1, tag: "k"); z:[int:3]; }
{ "x": [1, {"table": 2}] }
struct S { v:float = 1.5e+3; }
union U { T, Other: a.b.T }
rpc_service R { call(T):T (streaming: "none"); }
root_type T;
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range src.decls {
		got = append(got, d.kind+" "+d.fullName())
		for _, f := range d.fields {
			got = append(got, "."+f.name)
		}
	}
	want := "enum a.b.E .A .B .C table a.b.T .x .y .z struct a.b.S .v union a.b.U .T .Other"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("read  %s\nwant %s", s, want)
	}
	table := src.decls[1]
	if f := table.fields[0]; f.typ != "a.b.S" || !f.vector || f.array || f.line != 8 {
		t.Errorf("x is %+v", f)
	}
	if f := table.fields[1]; f.attrs["tag"] != "k" || f.attrs["id"] != "1" || f.line != 9 {
		t.Errorf("y is %+v", f)
	}
	if f := table.fields[2]; !f.array {
		t.Errorf("z is %+v", f)
	}
	if table.attrs["name"] != "t;{" || src.lineOf("a.b.T.z") != 9 || src.lineOf("a.b.S") != 11 {
		t.Errorf("attributes %v, lines %d and %d", table.attrs, src.lineOf("a.b.T.z"), src.lineOf("a.b.S"))
	}
	if len(src.rpc) != 1 || len(src.includes) != 1 || src.includes[0].name != "es.fbs" {
		t.Errorf("services %v, includes %v", src.rpc, src.includes)
	}
}

// Whatever the text is, reading it ends, and lines are lines of it.
func FuzzParseSource(f *testing.F) {
	f.Add("table T { x:int = 1 (id: 0); }")
	f.Add("enum E : byte { A, B = 2 } union U { A }")
	f.Add("table T (a: \"")
	f.Add("namespace . ; table { [ ( ] ) }")
	f.Fuzz(func(t *testing.T, text string) {
		src, err := parseSource("x.fbs", text)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, d := range src.decls {
			if d.line > lines {
				t.Errorf("%s on line %d of %d", d.name, d.line, lines)
			}
		}
		lint(src)
	})
}

func TestCamelIsFlatcs(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a": "A", "batch_key": "BatchKey", "batchKey": "BatchKey", "a_": "A_", "a__b": "A_b", "x1_y": "X1Y",
		"userID": "UserId", "URLs": "Urls", "ABC": "Abc", "XMLHttp": "Xmlhttp", "fLL": "FLl", "aBC_dEF": "ABcDEf",
		"a1b_2c": "A1b2c", "A1B2": "A1B2", "x2Y": "X2Y", "uint64": "Uint64", "v2": "V2",
	} {
		if got := camel(name); got != want {
			t.Errorf("camel(%q) is %q, want %q", name, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, line := range wrap(strings.Repeat("some words ", 40)) {
		if len(line) > 77 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if got := wrap(strings.Repeat("x", 100)); len(got) != 1 {
		t.Errorf("a long word is broken: %q", got)
	}
}
