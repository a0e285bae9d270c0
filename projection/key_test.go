package projection

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// compareValues is the order that keys must have, written without bytes.
func compareValues(a, b Value) int {
	if a.Kind() == Absent || b.Kind() == Absent {
		return cmp.Compare(a.Kind(), b.Kind())
	}
	switch a.Kind() {
	case Bool:
		return cmp.Compare(a.bits, b.bits)
	case Int:
		return cmp.Compare(a.Int(), b.Int())
	case Uint:
		return cmp.Compare(a.Uint(), b.Uint())
	case Float:
		return compareFloats(a.Float(), b.Float())
	default:
		return strings.Compare(a.Text(), b.Text())
	}
}

// compareFloats sorts NaN last; cmp.Compare would sort it first.
func compareFloats(a, b float64) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	case math.IsNaN(b):
		return -1
	}
	return cmp.Compare(a, b)
}

// anyText is rich in what the codec must escape and in common prefixes.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff, 'é', '世', 0x10ffff}), 0, 6, -1),
	)
}

func anyFloat() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), 1, -1, math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1),
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64, -math.MaxFloat64,
	}))
}

func anyValue(k Kind) *rapid.Generator[Value] {
	present := map[Kind]*rapid.Generator[Value]{
		Bool:   rapid.Map(rapid.Bool(), BoolValue),
		Int:    rapid.Map(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3)), IntValue),
		Uint:   rapid.Map(rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 3)), UintValue),
		Float:  rapid.Map(anyFloat(), FloatValue),
		String: rapid.Map(anyText(), StringValue),
	}[k]
	return rapid.OneOf(present, present, present, rapid.Just(Value{}))
}

func encode(values []Value) (key []byte) {
	for _, v := range values {
		key = appendValue(key, v)
	}
	return key
}

func TestKeysSortAsTheirValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]Kind{Bool, Int, Uint, Float, String}), 1, 3).Draw(t, "kinds")
		tuple := rapid.Custom(func(t *rapid.T) []Value {
			values := make([]Value, len(kinds))
			for i, k := range kinds {
				values[i] = anyValue(k).Draw(t, k.String())
			}
			return values
		})
		tuples := rapid.SliceOfN(tuple, 2, 20).Draw(t, "tuples")
		slices.SortFunc(tuples, func(a, b []Value) int { return slices.CompareFunc(a, b, compareValues) })
		for i := range len(tuples) - 1 {
			a, b := tuples[i], tuples[i+1]
			want := slices.CompareFunc(a, b, compareValues)
			if got := bytes.Compare(encode(a), encode(b)); got != want {
				t.Fatalf("%v against %v: values %d, keys %d", a, b, want, got)
			}
			if want != 0 && bytes.HasPrefix(encode(b), encode(a)) {
				t.Fatalf("the key of %v is a prefix of that of %v", a, b)
			}
		}
	})
}

func TestKeysComeBackAsTheirValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]Kind{Bool, Int, Uint, Float, String}).Draw(t, "kind")
		want := anyValue(k).Draw(t, "value")
		got, rest, err := decodeValue(append(appendValue(nil, want), "rest"...))
		if err != nil || got != want || string(rest) != "rest" {
			t.Fatalf("%v came back as %v, %q, %v", want, got, rest, err)
		}
	})
}

func TestFloatsHaveOneZeroAndOneNaN(t *testing.T) {
	t.Parallel()
	if FloatValue(math.Copysign(0, -1)) != FloatValue(0) {
		t.Error("-0 is not 0")
	}
	if FloatValue(math.Float64frombits(0xfff8000000000123)) != FloatValue(math.NaN()) {
		t.Error("one NaN is not the other")
	}
	if bytes.Compare(encode([]Value{FloatValue(math.NaN())}), encode([]Value{FloatValue(math.Inf(1))})) <= 0 {
		t.Error("NaN does not sort last")
	}
}

func TestSuccessorIsTheFirstKeyBehindAPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\xff\xff": "b", "\xff": "", "\x00": "\x01"} {
		if got := successor([]byte(prefix)); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("successor(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestValuesForMessages(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]Value{
		"absent": {}, "true": BoolValue(true), "-3": IntValue(-3), "18446744073709551615": UintValue(math.MaxUint64),
		"1.5": FloatValue(1.5), `"a\x00"`: StringValue("a\x00"),
	} {
		if got := v.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzDecodeValue(f *testing.F) {
	for _, seed := range []Value{{}, BoolValue(true), IntValue(-1), UintValue(1), FloatValue(-1.5), FloatValue(math.NaN()), StringValue("a\x00b")} {
		f.Add(appendValue(nil, seed))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		v, rest, err := decodeValue(key)
		if err != nil {
			return
		}
		if again := append(appendValue(nil, v), rest...); !bytes.Equal(again, key) {
			t.Fatalf("%x decodes to %v, which encodes to %x", key, v, again)
		}
	})
}
