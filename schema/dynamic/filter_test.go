package dynamic

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/schema"
)

const filtered = `{
  "flag": true, "i8": -3, "i64": "9007199254740993", "u64": "18446744073709551615", "f32": 0.1, "f64": 2.5,
  "label": "ada", "colour": "Red", "rights": "Read Write",
  "point": {"x": -1, "y": 2},
  "box": {"min": {"x": 1, "y": 2}, "max": {"x": 3, "y": 4}, "weight": 0.5, "cells": [1, 2, 3], "corners": [{"x": 5, "y": 6}, {"x": 7, "y": 8}], "colour": "Blue"},
  "leaf": {"name": "or", "size": 9},
  "extra_type": "Note", "extra": {"text": "hi"},
  "inner": {"label": "inside", "shorts": [7]},
  "bytes": "AQL/", "flags": [false], "shorts": [-1, 0, 1], "colours": ["Green", "Blue"], "names": ["", "bob"],
  "points": [{"x": 1, "y": 10}, {"x": 2, "y": 20}],
  "leaves": [{"name": "one", "size": 1}, {"name": "two"}],
  "children": [{"shorts": [1, 2]}, {"shorts": [3]}, {}]
}`

func TestFilter(t *testing.T) {
	t.Parallel()
	all := features(t)
	data := parse(t, all, filtered)
	for expression, want := range map[string]bool{
		"flag": true, "not flag": false, "!flag": false, "not not flag": true, "flag == true": true, "flag != true": false, "flag==false": false,
		"i8 == -3": true, "i8 != -3": false, "i8 < -2": true, "i8 <= -3": true, "i8 < -3": false, "i8 > -4": true, "i8 >= -2": false,
		"i8 > -1000": true, "i8 < 1000": true, "i8 == 253": false, "i8 > -3.5": true, "i8 < -2.5": true, "i8 == -3.0": true, "i8 == -3.5": false, "i8 != -2.5": true,
		"i64 == 9007199254740993": true, "i64 == 9007199254740992": false, "i64 > 9007199254740992.9": true, "i64 < 1e300": true, "i64 > -1e300": true,
		"u64 == 18446744073709551615": true, "u64 < 18446744073709551616": true, "u64 > -1": true, "u64 < -0.5": false, "u64 >= 1e19": true,
		"f32 == 0.1": true, "f32 < 0.2": true, "f64 == 2.5": true, "f64 == 25e-1": true, "f64 > 2": true,
		"not_a_number == 1": false, "not_a_number != 1": true, "not_a_number < 1": false, "not_a_number >= 1": false, "endless < -1e308": true,
		`label == "ada"`: true, `label == 'ada'`: true, `label < "adb"`: true, `label > "ad"`: true, `label == "\x61da"`: true, `label == '\u0061d"'`: false, `label != ""`: true,
		"colour == Red": true, `colour == "Red"`: true, "colour == -1": true, "colour < Green": true, "colour != Blue": true,
		`rights == "Write Read"`: true, "rights == Read": false, "rights == 3": true,
		"u8 == 7": true, "i32 == -5": true, "big == Small": true, // defaults
		"maybe == 0": false, "maybe != 0": false, "maybe == null": true, "maybe != null": false, "not maybe == 0": true, "perhaps": false, "perhaps == null": true, "u8 == null": false,
		"point.x == -1": true, "box.max.y == 4": true, "box.cells[] == 3": true, "box.cells[0] == 1": true, "box.cells[3] == 1": false, "box.corners[].x > 6": true, "box.corners[1].y == 8": true, "box == null": false,
		`leaf.name == "or"`: true, "leaf.size == 9": true,
		"extra_type == Note": true, `extra.Note.text == "hi"`: true, `extra.Leaf.name == "hi"`: false, "extra.Leaf == null": true, "extra.Note != null": true, "extra != null": true,
		`inner.label == "inside"`: true, "inner.shorts[] == 7": true, "inner.inner == null": true, "inner.inner.u8 == 7": false,
		"bytes[2] == 255": true, "bytes[] == 3": false, "bytes != null": true, "flags[] == false": true, "flags[]": false, "flags[0] == true": false,
		"shorts[] == 0": true, "shorts[1] == 0": true, "shorts[ 3 ] == 0": false, "shorts[] < -1": false, "shorts[] != 0": true, "not shorts[] == 5": true, "shorts[3] == null": true,
		"colours[] == Blue": true, `names[] == "bob"`: true, `names[0] == ""`: true, "longs[] == 0": false, "longs == null": true,
		"points[].y == 20": true, "points[0].y == 20": false, `leaves[].name == "two"`: true, "leaves[1].size == 0": true,
		"children[].shorts[] == 3": true, "children[0].shorts[] == 3": false, "children[].shorts[] == 4": false, "children[2].shorts[] != null": false,
		"flag and i8 == -3": true, "flag and i8 == 1": false, "i8 == 1 or flag": true, "i8 == 1 or i8 == 2": false,
		"flag or flag and i8 == 1": true, "(flag or flag) and i8 == 1": false, "not flag or flag": true, "not (flag or flag)": false, "not flag and flag": false,
		"flag && !(i8 == 1 || i8 == 2)": true, "i8 == 1 or i8 == 2 or i8 == -3 or i8 == 4": true, "flag and flag and flag and not flag": false,
		" \t( flag ) \n": true, "`flag`": true, "`i8`==-3": true, "leaf.`name` == 'or'": true, "i8!=1": true,
	} {
		f, err := all.Filter(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, err := f.Match(data); got != want || err != nil {
			t.Errorf("%s: %t, %v", expression, got, err)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	all := features(t)
	for _, c := range []struct {
		expression string
		at         int
		message    string
	}{
		{"", 0, "a field's name is expected"},
		{"flag flag", 5, "and, or, or the end is expected"},
		{"flag and", 8, "a field's name is expected"},
		{"flag or or", 8, "or is a word of the language: write `or`"},
		{"(flag", 5, "')' is expected"},
		{"flag)", 4, "the end is expected"},
		{"i8 = 1", 3, "'=' is no operator: write =="},
		{"i8 ==", 5, "a value to compare with"},
		{"i8 == ?", 6, "a number, a string in quotes"},
		{"i8 == 1.2.3", 6, "1.2.3 is not a number"},
		{"i8 == -", 6, "- is not a number"},
		{`label == "ada`, 9, "the string has no end"},
		{`label == "\q"`, 10, "not an escape"},
		{"1 == i8", 0, "a field's name is expected"},
		{"`", 0, "between backquotes"},
		{"`a b`", 0, "between backquotes"},
		{"leaf.", 5, "a field's name is expected"},
		{"shorts[", 7, "the number of an element"},
		{"shorts[-1]", 7, "the number of an element"},
		{"shorts[99999999999999999999]", 7, "the number of an element"},
		{"i8 < null", 5, "null can only be compared by == and !="},
		{"\xff", 0, "not valid UTF-8"},
		{strings.Repeat("not ", 100) + "flag", 256, "nested more than 64 deep"},
		{strings.Repeat("(", 100), 64, "nested more than 64 deep"},
		{strings.Repeat(" ", 5000), maxExpression, "4096 bytes at most"},

		{"flag and i9 == 1", 9, `features.All has no field "i9": it has flag, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, maybe, perhaps, label, colour, big, rights, point, box, leaf and 18 more`},
		{"leaf.nam == ''", 5, `features.Leaf has no field "nam": it has name, size`},
		{"gone != null", 0, `has no field "gone"`},
		{"i8", 0, `"i8" is a byte, which does not stand alone`},
		{"colour", 0, "of enum features.Colour"},
		{"label", 0, "a string"},
		{"i8.x == 1", 3, `"i8" is a byte, and has no fields`},
		{"i8[] == 1", 0, `"i8" is a byte, not a list`},
		{"points.x == 1", 0, "write points[] for its elements"},
		{"points[] == 1", 12, "which is only compared with null"},
		{"shorts == 1", 10, "a list, which is only compared with null"},
		{"bytes == 'x'", 9, "bytes, which is only compared with null"},
		{"extra == 1", 9, "a union, which is only compared with null"},
		{"extra.Nope == null", 6, `union "extra" has no type "Nope": it has NONE, Leaf, Note, Alias, Nothing`},
		{"extra.NONE == null", 6, "has no type"},
		{"extra.Note[] == null", 6, "is the type of a union, not a list"},
		{"label == 1", 9, "a string, which is not compared with a number"},
		{"label == ada", 9, "a string, which is not compared with a name"},
		{"i8 == 'x'", 6, "a byte, which is not compared with a string"},
		{"i8 == true", 6, "not compared with a bool"},
		{"f64 == NaN", 7, "not compared with a name"},
		{"flag == 1", 8, "a bool, which is only compared with"},
		{"flag < true", 7, "a bool, which is only compared with"},
		{"colour == Yellow", 10, `features.Colour has no value "Yellow": it has Red, Green, Blue`},
		{"colour == true", 10, "not compared with a bool"},
	} {
		_, err := all.Filter(c.expression)
		var wrong *FilterError
		if !errors.As(err, &wrong) {
			t.Errorf("%.40q: %v", c.expression, err)
			continue
		}
		if wrong.Offset != c.at || !strings.Contains(wrong.Message, c.message) {
			t.Errorf("%.40q: %q at %d, want %q at %d", c.expression, wrong.Message, wrong.Offset, c.message, c.at)
		}
	}
	_, err := all.Filter("label == 'ü' and i9 == 1")
	if want := `(character 18 of "label == 'ü' and i9 == 1")`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v does not end in %s", err, want)
	}
}

func TestFilterVerifies(t *testing.T) {
	t.Parallel()
	f, err := features(t).Filter("flag")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Match([]byte("not a buffer")); err == nil {
		t.Error("accepted")
	}
}

// Whole numbers compare as the rationals that they and the literal are.
func TestFilterComparesWholeNumbersExactly(t *testing.T) {
	t.Parallel()
	bases := []schema.BaseType{schema.Byte, schema.UByte, schema.Short, schema.UShort, schema.Int, schema.UInt, schema.Long, schema.ULong}
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom(bases).Draw(t, "base")
		bits := load(base, appendScalar(nil, base, rapid.Uint64().Draw(t, "bits")), 0)
		value, _ := new(big.Rat).SetString(string(appendDecimal(nil, base, bits)))
		number := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{1,21}(\.[0-9]{0,3})?`),
			rapid.StringMatching(`-?[0-9]{1,3}(\.[0-9]{1,3})?[eE][+-]?[0-2]?[0-9]`),
			rapid.Map(rapid.SampledFrom([]string{"", ".0", ".5", ".000001"}), func(fraction string) string {
				return string(appendDecimal(nil, base, bits)) + fraction
			}),
		).Draw(t, "number")
		want, ok := new(big.Rat).SetString(strings.TrimSuffix(number, "."))
		if !ok {
			t.Skip("not a number")
		}
		if strings.ContainsAny(number, "eE") {
			// With an exponent the literal is a float64.
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				t.Skip("not a number")
			}
			want.SetFloat64(v)
		}
		operand := wholeOperand(base, number)
		if got := operand.order(base, bits); got != order(value.Cmp(want)) {
			t.Fatalf("%s against %s: %d", value, number, got)
		}
	})
}
