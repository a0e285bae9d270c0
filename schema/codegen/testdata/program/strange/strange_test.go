package strange

import (
	"math"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/schema/dynamic"

	"example.test/strange/align"
	"example.test/strange/camel"
	"example.test/strange/deep"
	"example.test/strange/empty"
	"example.test/strange/enums"
	"example.test/strange/inc"
	"example.test/strange/keywords"
	"example.test/strange/long"
	"example.test/strange/rich"
	"example.test/strange/same1"
	"example.test/strange/same2"
	"example.test/strange/two"
	"example.test/strange/unicode"
)

type richly struct{}

func (richly) DecideDo(s *rich.State, c rich.Do, out *rich.Decision) error {
	b, ob, oi := rich.B{S: "in", A: &rich.A{N: 3}}, true, int8(-5)
	return out.Happened(&b, []rich.P{{X: 1, In: rich.In{A: 2, D: 3}, Y: true}}, rich.P{X: 9}, rich.A{N: 4}, []rich.B{b}, rich.HappenedFields{
		Ob: &ob, Oi: &oi, Bools: []bool{true, false}, F: float32(math.Inf(-1)), N: math.NaN(), L: math.MaxUint64, Bt: true,
		Doubles: []float64{1, math.Inf(1)}, Nestedb: &b, Tags: []string{"x", "y"}, Str: "s",
	})
}

func (richly) EvolveHappened(s *rich.State, e rich.Happened) {
	for p := range e.Ps() {
		s.Ps = append(s.Ps, p)
	}
	if ob, ok := e.Ob(); ok {
		s.Ob = &ob
	}
	s.Vv, s.U = append(s.Vv, e.Str()), &rich.A{N: e.Nestedr().N()}
}

type worded struct{}

func (worded) DecideFunc(_ *keywords.State, c keywords.Func, out *keywords.Decision) error {
	return out.Type(c.Func(), "pkg", "f", "off", "ctx", "ev", "sch", "fl", "new", []string{"m"}, keywords.TypeFields{Range: []string{"r"}})
}

func (worded) DecideGo(_ *keywords.State, c keywords.Go, out *keywords.Decision) error {
	return out.Map(keywords.MapFields{Map: []keywords.Entry{{Key_: "k", Value: "v"}}, Default: c.Return()})
}

func (worded) EvolveType(s *keywords.State, e keywords.Type) { s.Type = e.Type() }

func (worded) EvolveMap(s *keywords.State, e keywords.Map) {
	for entry := range e.Map() {
		s.Range = append(s.Range, entry.Key_())
	}
}

type including struct{}

func (including) DecideDo(_ *inc.State, c inc.Do, out *inc.Decision) error {
	huge := inc.BigHuge
	leaf := inc.Leaf{P: &inc.Point{X: 1, F: inc.FlagsA | inc.FlagsC, B: inc.BigHuge}, Big: inc.BigHuge, Neg: inc.NegMin, Flags: inc.FlagsA}
	return out.Happened(inc.Mid{Leaf: &leaf, Points: []inc.Point{{}}, Bigs: []inc.Big{inc.BigHuge}, Flags: []inc.Flags{5}, Negs: []inc.Neg{inc.NegMin}},
		inc.HappenedFields{Big: inc.BigHuge, Flags: inc.FlagsB, Neg: inc.NegMin, Opt: &huge})
}

func (including) EvolveHappened(s *inc.State, e inc.Happened) { s.F = e.Flags() }

type enumerated struct{}

func (enumerated) DecideDo(_ *enums.State, c enums.Do, out *enums.Decision) error {
	return out.Happened(enums.HappenedFields{
		E: c.E(), F: enums.F64Top, U: enums.U64Huge, Es: []enums.E8{enums.E8Min}, Fs: []enums.F64{enums.F64A | enums.F64Top}, Ts: []enums.Type{enums.Typestring},
	})
}

func (enumerated) EvolveHappened(s *enums.State, e enums.Happened) { s.E, s.F = e.E(), e.F() }

type nothing struct{}

func (nothing) DecideDo(_ *empty.State, _ empty.Do, out *empty.Decision) error {
	return out.Has(empty.HasFields{P: &empty.Part{}, Ps: []empty.Part{{}, {}}})
}
func (nothing) EvolveHappened(*empty.State, empty.Happened) {}
func (nothing) EvolveHas(*empty.State, empty.Has)           {}

type left struct{}

func (left) DecideMove(_ *two.Left, c two.Move, out *two.LeftDecision) error {
	return out.LeftMoved(two.LeftMovedFields{N: c.N()})
}
func (left) EvolveLeftMoved(s *two.Left, e two.LeftMoved) { s.N = e.N() }

type deeply struct{}

func (deeply) DecideDo(_ *deep.State, c deep.Do, out *deep.Decision) error {
	return out.Happened(deep.HappenedFields{N: c.N()})
}
func (deeply) EvolveHappened(s *deep.State, e deep.Happened) { s.N = e.N() }

type one struct{}

func (one) DecideMove(_ *same1.S, c same1.Move, out *same1.Decision) error {
	return out.Moved(same1.MovedFields{N: c.N()})
}
func (one) EvolveMoved(s *same1.S, e same1.Moved) { s.N = e.N() }

type other struct{}

func (other) DecideMove(_ *same2.S, c same2.Move, out *same2.Decision) error {
	return out.Moved(same2.MovedFields{N: c.N()})
}
func (other) EvolveMoved(s *same2.S, e same2.Moved) { s.N = e.N() }

type spoken struct{}

func (spoken) DecideDo(_ *unicode.State, c unicode.Do, out *unicode.Decision) error {
	return out.Happened(c.Text())
}
func (spoken) EvolveHappened(s *unicode.State, e unicode.Happened) { s.Name = e.Text() }

// Every aggregate takes a command in one log, and again when it is read anew.
func TestAggregates(t *testing.T) {
	log, err := memstore.New(rich.Schema, keywords.Schema, inc.Schema, enums.Schema, empty.Schema, two.Schema, deep.Schema,
		camel.Schema, same1.Schema, same2.Schema, unicode.Schema, align.Schema, long.Schema)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for range 2 {
		for name, handle := range map[string]func() (aggregate.Receipt, error){
			"rich": func() (aggregate.Receipt, error) {
				return rich.NewHandler(log, richly{}, aggregate.Options{}).Do(ctx, "1", rich.DoFields{U: &rich.A{N: 7}})
			},
			"keywords": func() (aggregate.Receipt, error) {
				return keywords.NewHandler(log, worded{}, aggregate.Options{}).Func(ctx, "1", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
			},
			"keywords, go": func() (aggregate.Receipt, error) {
				return keywords.NewHandler(log, worded{}, aggregate.Options{}).Go(ctx, "1", keywords.GoFields{Return: 4})
			},
			"inc": func() (aggregate.Receipt, error) {
				return inc.NewHandler(log, including{}, aggregate.Options{}).Do(ctx, "1", inc.Mid{})
			},
			"enums": func() (aggregate.Receipt, error) {
				return enums.NewHandler(log, enumerated{}, aggregate.Options{}).Do(ctx, "1", enums.DoFields{E: enums.E8Min})
			},
			"empty": func() (aggregate.Receipt, error) {
				return empty.NewHandler(log, nothing{}, aggregate.Options{}).Do(ctx, "1")
			},
			"two": func() (aggregate.Receipt, error) {
				return two.NewLeftHandler(log, left{}, aggregate.Options{}).Move(ctx, "1", two.MoveFields{N: 4})
			},
			"deep": func() (aggregate.Receipt, error) {
				return deep.NewHandler(log, deeply{}, aggregate.Options{}).Do(ctx, "1", deep.DoFields{N: 4})
			},
			"same1": func() (aggregate.Receipt, error) {
				return same1.NewHandler(log, one{}, aggregate.Options{}).Move(ctx, "1", same1.MoveFields{N: 4})
			},
			"same2": func() (aggregate.Receipt, error) {
				return same2.NewHandler(log, other{}, aggregate.Options{}).Move(ctx, "1", same2.MoveFields{N: 4})
			},
			"unicode": func() (aggregate.Receipt, error) {
				return unicode.NewHandler(log, spoken{}, aggregate.Options{}).Do(ctx, "1", "日本語 ✓ ß")
			},
		} {
			if _, err := handle(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	shown, count := dynamic.NewSet(log.Schemas()), 0
	for e, err := range event.Read(ctx, log, event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		text, err := shown.AppendRecordJSON(nil, e.Record())
		if err != nil || strings.Contains(string(text), "data_error") {
			t.Errorf("%v: %s", err, text)
		}
		checkRich(t, e)
		checkEnums(t, e, string(text))
	}
	if count != 22 {
		t.Errorf("%d events", count)
	}
}

func checkRich(t *testing.T, e event.Event) {
	happened, ok := rich.AsHappened(e)
	if !ok {
		return
	}
	ob, obThere := happened.Ob()
	oi, oiThere := happened.Oi()
	if !ob || !obThere || oi != -5 || !oiThere || happened.L() != math.MaxUint64 || !math.IsInf(float64(happened.F()), -1) || !math.IsNaN(happened.N()) || happened.D() != 0 {
		t.Errorf("scalars of %v", e)
	}
	for _, tag := range []string{"ob:true", "oi:-5", "l:18446744073709551615", "bt:true", "many:x", "many:y"} {
		has := false
		for got := range e.Tags() {
			has = has || got == tag
		}
		if !has {
			t.Errorf("%v has no tag %s", e, tag)
		}
	}
}

func checkEnums(t *testing.T, e event.Event, shown string) {
	happened, ok := enums.AsHappened(e)
	if !ok {
		return
	}
	if happened.E() != enums.E8Min || happened.F() != enums.F64Top || happened.U() != enums.U64Huge || happened.FsAt(0) != enums.F64A|enums.F64Top {
		t.Errorf("enums of %v", e)
	}
	if !strings.Contains(shown, `"f":"Top","u":"Huge"`) {
		t.Errorf("shown as %s", shown)
	}
}
