package dynamic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/schema"
)

// texts draws JSON of a table, of every shape that the table has.
type texts struct {
	t *rapid.T
	b strings.Builder
}

func drawText(t *rapid.T, table *Table) string {
	d := texts{t: t}
	d.object(table.object, 2)
	return d.b.String()
}

func (d *texts) chance(of int, label string) bool {
	return rapid.IntRange(0, of-1).Draw(d.t, label) == 0
}

func (d *texts) object(o *object, depth int) {
	separator := "{"
	for _, f := range o.fields {
		if !o.fixed && !f.required && !d.chance(3, f.name) || f.value != nil {
			continue
		}
		if (f.kind == table || f.kind == nested || f.kind == union || f.kind == list && f.element.kind == table) && depth <= 0 && !f.required {
			continue
		}
		d.b.WriteString(separator)
		separator = ","
		if f.kind == union {
			member := rapid.SampledFrom(f.enum.values[1:]).Draw(d.t, "member")
			fmt.Fprintf(&d.b, "%q:", f.name)
			d.object(member.member, depth-1)
			fmt.Fprintf(&d.b, ",%q:%q", f.tag.name, member.name)
			continue
		}
		fmt.Fprintf(&d.b, "%q:", f.name)
		d.value(&f.shape, depth)
	}
	if separator == "{" {
		d.b.WriteString("{")
	}
	d.b.WriteString("}")
}

func (d *texts) value(s *shape, depth int) {
	switch s.kind {
	case scalar:
		d.scalar(s)
	case text:
		encoded, _ := json.Marshal(rapid.String().Draw(d.t, "text"))
		d.b.Write(encoded)
	case blob:
		encoded, _ := json.Marshal(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(d.t, "bytes"))
		if string(encoded) == "null" {
			encoded = []byte(`""`)
		}
		d.b.Write(encoded)
	case table, nested:
		d.object(s.object, depth-1)
	case structure:
		d.object(s.object, depth)
	case list, array:
		n := s.length
		if s.kind == list {
			n = rapid.IntRange(0, 3).Draw(d.t, "length")
		}
		d.b.WriteByte('[')
		for i := range n {
			if i > 0 {
				d.b.WriteByte(',')
			}
			d.value(s.element, depth-1)
		}
		d.b.WriteByte(']')
	}
}

func (d *texts) scalar(s *shape) {
	if s.enum != nil && d.chance(2, "named") {
		fmt.Fprintf(&d.b, "%q", rapid.SampledFrom(s.enum.values).Draw(d.t, "name").name)
		return
	}
	raw := appendScalar(nil, s.base, rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 9), rapid.Just(uint64(math.MaxUint64))).Draw(d.t, "bits"))
	bits := load(s.base, raw, 0)
	switch {
	case s.base == schema.Bool:
		d.b.WriteString(boolean(bits))
	case s.base.Real():
		v := rapid.Float64().Draw(d.t, "real")
		if s.base == schema.Float {
			v = float64(rapid.Float32().Draw(d.t, "real"))
		}
		switch {
		case math.IsNaN(v):
			d.b.WriteString(`"NaN"`)
		case math.IsInf(v, 0):
			fmt.Fprintf(&d.b, "%q", strings.Replace(strconv.FormatFloat(v, 'g', -1, 64), "Inf", "Infinity", 1)[map[bool]int{true: 1, false: 0}[v > 0]:])
		default:
			d.b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		}
	default:
		d.b.Write(appendDecimal(nil, s.base, bits))
	}
}

// Data that was built shows as JSON of which the same bytes are built again.
func TestBuiltDataComesBack(t *testing.T) {
	t.Parallel()
	tables := []*Table{features(t), monster(t)}
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom(tables).Draw(t, "table")
		source := drawText(t, table)
		data, err := table.ParseJSON([]byte(source))
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if err := table.Verify(data); err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		shown, err := table.AppendJSON(nil, data)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(shown) {
			t.Fatalf("not JSON: %s", shown)
		}
		again, err := table.ParseJSON(shown)
		if err != nil {
			t.Fatalf("%s: %v", shown, err)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%s was built again as other bytes", shown)
		}
		if _, err := table.AppendTree(nil, data); err != nil {
			t.Fatal(err)
		}
		contained(t, source, shown)
	})
}

// contained compares what was written with what is shown, by a JSON reader that
// has nothing to do with this package: all of it must be there.
func contained(t *rapid.T, source string, shown []byte) {
	var want, got any
	for text, into := range map[string]*any{source: &want, string(shown): &got} {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if path := missing(want, got, "$"); path != "" {
		t.Fatalf("%s of\n%s\nis not in\n%s", path, source, shown)
	}
}

func missing(want, got any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return path
		}
		for key, value := range want {
			if key == "rights" || strings.HasSuffix(key, "_type") {
				continue // other names for the same
			}
			if p := missing(value, got[key], path+"."+key); p != "" {
				return p
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return path
		}
		for i := range want {
			if p := missing(want[i], got[i], fmt.Sprintf("%s[%d]", path, i)); p != "" {
				return p
			}
		}
		return ""
	case json.Number:
		if _, named := got.(string); named && want.String() != got {
			return "" // an enum, or the same number as another text
		}
		number, ok := got.(json.Number)
		if !ok {
			if got == want.String() {
				return ""
			}
			return path
		}
		a, errA := strconv.ParseFloat(want.String(), 64)
		b, errB := strconv.ParseFloat(number.String(), 64)
		// Floats of 32 bits are shown by fewer digits.
		if errA != nil || errB != nil || a != b && float32(a) != float32(b) {
			return path
		}
		return ""
	}
	if want != got {
		return path
	}
	return ""
}

// surviving shows data in every way, reads it back, and returns what panicked
// or is wrong.
func surviving(s *specimen, data []byte, filters []*Filter) (wrong any) {
	defer func() {
		if p := recover(); p != nil {
			wrong = p
		}
	}()
	shown, err := s.table.AppendJSON(nil, data)
	if err != nil {
		return err
	}
	if _, err := s.table.AppendTree(nil, data); err != nil {
		return err
	}
	for _, f := range filters {
		f.MatchVerified(data)
	}
	again, err := s.table.ParseJSON(shown)
	if err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	if twice, err := s.table.AppendJSON(nil, again); err != nil || !bytes.Equal(twice, shown) {
		return fmt.Errorf("came back as\n%s\nwas\n%s", twice, shown)
	}
	return nil
}

func filtersFor(t testing.TB, table *Table) []*Filter {
	t.Helper()
	expressions := []string{
		`label == "x" or leaf.name == "y" or extra.Leaf.size > 3`, "children[].children[].shorts[] == 4", "inner.inner.u8 == 3", "box.corners[].x == 3",
	}
	if table.Name() != "features.All" {
		expressions = []string{`name == "x" or test.Monster.name == "y"`, "testarrayoftables[].inventory[] == 300", "testnestedflatbuffer.hp == 3"}
	}
	var filters []*Filter
	for _, expression := range expressions {
		f, err := table.Filter(expression)
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, f)
	}
	return filters
}

// Whatever differs from the corpus in one byte, and is accepted, can be shown,
// and what is shown is JSON of the same.
func TestMutantsCanBeShown(t *testing.T) {
	t.Parallel()
	for _, s := range corpus(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			filters := filtersFor(t, s.table)
			data := bytes.Clone(s.data)
			step := 1
			if testing.Short() || raceEnabled {
				step = 7
			}
			shown := 0
			for i := range data {
				for _, b := range []byte{0, 0xff, data[i] ^ 1, data[i] ^ 0x10, data[i] + 4} {
					if i%step != 0 {
						continue
					}
					data[i] = b
					if s.table.Verify(data) == nil {
						shown++
						if wrong := surviving(&s, data, filters); wrong != nil {
							t.Fatalf("byte %d = %#02x: %v", i, b, wrong)
						}
					}
				}
				data[i] = s.data[i]
			}
			if shown == 0 {
				t.Error("no mutant was accepted: the test sees nothing")
			}
		})
	}
}

func TestInvalidDataIsRefused(t *testing.T) {
	t.Parallel()
	all := features(t)
	data := parse(t, all, `{"label":"x"}`)
	data = data[:len(data)-4]
	for name, show := range map[string]func([]byte, []byte) ([]byte, error){"json": all.AppendJSON, "tree": all.AppendTree} {
		if got, err := show([]byte("before"), data); err == nil || string(got) != "before" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := all.WriteJSON(failing{}, data); err == nil {
		t.Error("written")
	}
}

// FuzzShow looks for accepted data that cannot be shown and read back. The
// first byte chooses the schema.
func FuzzShow(f *testing.F) {
	specimens := corpus(f)
	filters := make([][]*Filter, len(specimens))
	for i, s := range specimens {
		filters[i] = filtersFor(f, s.table)
		f.Add(append([]byte{byte(i)}, s.data...))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		i := int(input[0]) % len(specimens)
		data := input[1:]
		if specimens[i].table.Verify(data) != nil {
			return
		}
		if wrong := surviving(&specimens[i], data, filters[i]); wrong != nil {
			t.Fatalf("%s: %v", specimens[i].name, wrong)
		}
	})
}

// FuzzParseJSON looks for JSON that is parsed into data that is not valid, or
// does not show as JSON of the same.
func FuzzParseJSON(f *testing.F) {
	all := features(f)
	for _, name := range []string{"full.json", "special.json", "full.ours.json", "full.flatc.json"} {
		f.Add(testdata(f, name))
	}
	for _, text := range []string{filtered, `{}`, `{"label":"\ud83d\ude00"}`, `{"i8":1e1,"i8":2}`, `{"children":[{"children":[{}]}]}`, `[`, `{"inner":{"inner":{}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := all.ParseJSON(text)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q was accepted, but is not JSON", text)
		}
		if wrong := surviving(&specimen{table: all}, data, nil); wrong != nil {
			t.Fatal(wrong)
		}
	})
}

// FuzzFilter looks for expressions on which the parser, the compiler or a
// filter panics, or that do not survive being put in parentheses.
func FuzzFilter(f *testing.F) {
	all := features(f)
	data := parse(f, all, filtered)
	for _, expression := range []string{
		"amount > 1000", `label == "a\"da"`, "shorts[] == 1 and not flag or (i8 < 3)", "leaves[0].name == 'x'", "extra.Note.text != null",
		"`flag` == true", "u64 == 18446744073709551616", "i8 == -1.5e3", "colour == Red", "!!flag && flag || flag", "inner.inner.inner == null",
	} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		filter, err := all.Filter(expression)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		got := filter.MatchVerified(data)
		negated, err := all.Filter("not (" + expression + ")")
		if err != nil {
			return // too long, or too deep
		}
		if negated.MatchVerified(data) == got {
			t.Fatalf("%q and its opposite are both %t", expression, got)
		}
	})
}
