package dynamic

import (
	"errors"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema/verify"
)

func TestParseJSONRefuses(t *testing.T) {
	t.Parallel()
	all := features(t)
	point := `{"x": 1, "y": 2}`
	nestedLists := strings.Repeat("[", maxNesting+1)
	for _, c := range []struct{ text, path, message string }{
		{``, "", "the text ends where a value is expected"},
		{`null`, "", "features.All is expected to be an object, but is null"},
		{`[]`, "", "but is a list"},
		{`{} {}`, "", "something follows the end"},
		{`{`, "", "a member's name"},
		{`{"i8"`, "", "':' is expected"},
		{`{"i8":`, "", "the text ends"},
		{`{"i8":1`, "", "',' or '}' is expected"},
		{`{"i8":1,}`, "", "a member's name"},
		{`{i8:1}`, "", "a member's name"},
		{`{"shorts":[1,]}`, "", "a value is expected"},
		{`{"shorts":[1 2]}`, "", "',' or ']' is expected"},
		{`{"flag":tru}`, "", "a value is expected"},
		{`{"i8":01}`, "", "not a number"},
		{`{"i8":1.}`, "", "not a number"},
		{`{"i8":1e}`, "", "not a number"},
		{`{"i8":-}`, "", "not a number"},
		{`{"i8":+1}`, "", "a value is expected"},
		{`{"f64":NaN}`, "", "a value is expected"},
		{`{"label":"a`, "", "ends inside a string"},
		{"{\"label\":\"a\nb\"}", "", "must be escaped"},
		{"{\"label\":\"a\xffb\"}", "", "not valid UTF-8"},
		{`{"label":"\x41"}`, "", "escape"},
		{`{"label":"\u00g0"}`, "", "escape"},
		{`{"label":"\ud800"}`, "", "escape"},
		{`{"label":"\ud800\u0041"}`, "", "escape"},
		{`{"label":"\udc00\ud800"}`, "", "escape"},
		{`{"label":"\`, "", "escape"},
		{nestedLists, "", "more than 256 deep"},

		{`{"i9":1}`, "", `features.All has no field "i9": it has flag, i8`},
		{`{"leaf":{"nam":""}}`, "leaf", `features.Leaf has no field "nam": it has name, size`},
		{`{"gone":[]}`, "", "deprecated"},
		{`{"i8":1,"i8":1}`, "i8", "twice"},
		{`{"i8":1,"\u00698":1}`, "i8", "twice"},
		{`{"i8":null,"i8":1}`, "i8", "twice"},
		{`{"leaf":{}}`, "leaf.name", "required, but absent"},
		{`{"leaf":{"name":null}}`, "leaf.name", "required, but absent"},
		{`{"leaves":[{"name":""},{}]}`, "leaves[1].name", "required"},
		{`{"children":[{},{"children":[{"i8":"a"}]}]}`, "children[1].children[0].i8", "a number is expected, but it is a string"},

		{`{"flag":1}`, "flag", "a bool is expected, but it is a number"},
		{`{"i8":128}`, "i8", "128 is not a whole number of type byte"},
		{`{"i8":-129}`, "i8", "-129"},
		{`{"u8":256}`, "u8", "256"},
		{`{"u8":-1}`, "u8", "-1"},
		{`{"i16":32768}`, "i16", "short"},
		{`{"u16":65536}`, "u16", "ushort"},
		{`{"i32":2147483648}`, "i32", "int"},
		{`{"u32":4294967296}`, "u32", "uint"},
		{`{"i64":9223372036854775808}`, "i64", "long"},
		{`{"u64":18446744073709551616}`, "u64", "ulong"},
		{`{"u64":"18446744073709551616"}`, "u64", "ulong"},
		{`{"i64":9007199254740992.0}`, "i64", "long"},
		{`{"i32":1.5}`, "i32", "1.5 is not a whole number"},
		{`{"i32":1e10}`, "i32", "1e10"},
		{`{"i32":"1"}`, "i32", "but it is a string"},
		{`{"i64":"1.0"}`, "i64", "but it is a string"},
		{`{"i64":true}`, "i64", "but it is a bool"},
		{`{"f32":1e39}`, "f32", "out of the range of a float"},
		{`{"f64":1e309}`, "f64", "out of the range of a double"},
		{`{"f64":"1"}`, "f64", `"NaN", "Infinity" or "-Infinity"`},
		{`{"label":1}`, "label", "a string is expected, but it is a number"},
		{`{"names":["a",null]}`, "names[1]", "a string is expected, but it is null"},
		{`{"shorts":{}}`, "shorts", "a list is expected, but it is an object"},
		{`{"shorts":[1,null]}`, "shorts[1]", "but it is null"},
		{`{"bytes":"AAE"}`, "bytes", "not base64 with padding"},
		{`{"bytes":"AAF="}`, "bytes", "not base64 with padding"},
		{`{"bytes":[256]}`, "bytes[0]", "256"},

		{`{"colour":"Yellow"}`, "colour", `features.Colour has no value "Yellow": it has Red, Green, Blue`},
		{`{"colour":"Red Blue"}`, "colour", "has no value"},
		{`{"colour":""}`, "colour", "has no value"},
		{`{"rights":"Read  Write"}`, "rights", "has no value"},
		{`{"colour":128}`, "colour", "128"},
		{`{"colours":["Red","red"]}`, "colours[1]", `"red"`},

		{`{"point":{"x":1}}`, "point.y", "the struct needs it"},
		{`{"point":{"x":1,"y":null}}`, "point.y", "but it is null"},
		{`{"point":{"x":1,"y":2,"z":3}}`, "point", `features.Point has no field "z"`},
		{`{"points":[{"x":1,"y":2},[]]}`, "points[1]", "expected to be an object, but is a list"},
		{`{"box":{"min":` + point + `,"max":` + point + `,"weight":1,"cells":[1,2],"corners":[],"colour":0}}`, "box.cells", "3 elements are expected, but there are 2"},
		{`{"box":{"min":` + point + `,"max":` + point + `,"weight":1,"cells":[1,2,3,4],"corners":[],"colour":0}}`, "box.cells", "3 elements are expected, but there are more"},
		{`{"box":{"min":` + point + `,"max":` + point + `,"weight":1,"cells":1,"corners":[],"colour":0}}`, "box.cells", "a list is expected"},

		{`{"extra":{}}`, "extra", `"extra_type" must name its type, one of NONE, Leaf`},
		{`{"extra_type":"NONE","extra":{}}`, "extra", "says that there is none"},
		{`{"extra_type":"Note"}`, "extra_type", `there is no "extra" of this type`},
		{`{"extra_type":9,"extra":{}}`, "extra_type", "no type of features.Extra has the number 9"},
		{`{"extra_type":"Leaf","extra":{"text":""}}`, "extra", `features.Leaf has no field "text"`},
		{`{"inner":"AAAA"}`, "inner", "features.All is expected to be an object, but is a string"},
		{`{"inner":{"i8":1000}}`, "inner.i8", "1000"},
	} {
		_, err := all.ParseJSON([]byte(c.text))
		var wrong *JSONError
		if !errors.As(err, &wrong) {
			t.Errorf("%.80s: %v", c.text, err)
			continue
		}
		if wrong.Path != c.path || !strings.Contains(wrong.Message, c.message) {
			t.Errorf("%.80s: %q at path %q, want %q at %q", c.text, wrong.Message, wrong.Path, c.message, c.path)
		}
	}
}

func TestParseJSONAccepts(t *testing.T) {
	t.Parallel()
	all := features(t)
	for text, want := range map[string]string{
		" \t\r\n{ } ":                          `{}`,
		`{"\u0069\u0038":1}`:                   `{"i8":1}`,
		`{"label":null,"maybe":null}`:          `{}`,
		`{"extra_type":null,"extra":null}`:     `{}`,
		`{"extra_type":"NONE"}`:                `{}`,
		`{"extra_type":0}`:                     `{}`,
		`{"extra":{},"extra_type":2}`:          `{"extra_type":"Note","extra":{}}`,
		`{"i8":1.0,"i32":1e3,"u64":"7"}`:       `{"i8":1,"i32":1000,"u64":7}`,
		`{"u32":-0,"i64":-0.0}`:                `{"u32":0,"i64":0}`,
		`{"u8":7}`:                             `{}`, // its default
		`{"i64":9007199254740993}`:             `{"i64":"9007199254740993"}`,
		`{"bytes":[1,2]}`:                      `{"bytes":"AQI="}`,
		`{"rights":"Write Read"}`:              `{"rights":3}`,
		`{"colour":1,"rights":1}`:              `{"colour":"Blue","rights":"Read"}`,
		`{"names":["\u00fc\"\\\/\b\f\n\r\t"]}`: `{"names":["ü\"\\/\u0008\u000c\n\r\t"]}`,
		`{"names":["\ud83d\ude00"]}`:           `{"names":["😀"]}`,
		`{"f32":0.1,"f64":-0.0}`:               `{"f64":-0.0}`,
	} {
		got, wanted := parse(t, all, text), parse(t, all, want)
		if string(got) != string(wanted) {
			t.Errorf("%s gives\n%s\nwant that of %s", text, render(t, all, got), want)
		}
	}
}

func TestParseJSONIsBounded(t *testing.T) {
	t.Parallel()
	all := features(t)
	nest := func(n int) string {
		return strings.Repeat(`{"children":[`, n-1) + "{}" + strings.Repeat(`]}`, n-1)
	}
	if _, err := all.ParseJSON([]byte(nest(verify.MaxDepth))); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		nest(verify.MaxDepth + 1):                 "tables are more than 64 deep",
		`{"inner":` + nest(verify.MaxDepth) + `}`: "tables are more than 64 deep",
		strings.Repeat(" ", MaxJSON-1) + "{}":     "33554433 bytes are more than the 33554432 allowed",
	} {
		_, err := all.ParseJSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s…: %v, want %q", text, err, want)
		}
	}
}

func TestParseJSONWritesTheIdentifier(t *testing.T) {
	t.Parallel()
	s := compileTestdata(t, "features.bfbs")
	if data := parse(t, tableOf(t, s, "features.All"), "{}"); string(data[4:8]) != "FEAT" {
		t.Errorf("the root table begins with %x", data[:8])
	}
	if data := parse(t, tableOf(t, s, "features.Note"), "{}"); strings.Contains(string(data), "FEAT") {
		t.Errorf("another table begins with %x", data[:8])
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"full.json":                         "not a .bfbs",
		"../../testdata/unsupported.bfbs":   "table",
		"../../testdata/alignedvector.bfbs": "force_align",
	} {
		if _, err := Compile(testdata(t, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// Tables whose fields are at the same offsets, but of different size, must not
// share a vtable, and those that are the same do.
func TestVtablesAreSharedWhereEqual(t *testing.T) {
	t.Parallel()
	s := compileTestdata(t, "../../verify/testdata/monster_test.bfbs")
	table := tableOf(t, s, "MyGame.Example.Monster")
	data := parse(t, table, `{"name":"","testempty":{"id":"x"},"vector_of_referrables":[{"id":1}]}`)
	if err := table.Verify(data); err != nil {
		t.Error(err)
	}
	all := features(t)
	few, many := parse(t, all, `{"leaves":[{"name":"x"}]}`), parse(t, all, `{"leaves":[`+strings.Repeat(`{"name":"x"},`, 99)+`{"name":"x"}]}`)
	if each := (len(many) - len(few)) / 99; each > 4+8+8 { // its reference, itself, its name
		t.Errorf("each table takes %d bytes", each)
	}
}

func TestTablesThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWriter()
	w.startTable(2)
	w.inline(0, 1, make([]byte, 40000))
	w.inline(1, 1, make([]byte, 40000))
	if _, err := w.endTable(); err == nil {
		t.Error("a table of 80000 bytes")
	}
}
