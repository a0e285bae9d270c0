package dynamic

import "testing"

func TestFilterDoesNotAllocate(t *testing.T) {
	all := features(t)
	data := parse(t, all, filtered)
	for _, expression := range []string{
		"i64 > 1000 and u64 != 3", "f32 < 0.5", "colour == Red", `label == "ada"`, "maybe == null",
		`leaves[].name == "three" or children[].shorts[] == 99`, "inner.shorts[0] == 7", `extra.Note.text == "hi"`,
	} {
		f, err := all.Filter(expression)
		if err != nil {
			t.Fatal(err)
		}
		if allocs := testing.AllocsPerRun(100, func() {
			if _, err := f.Match(data); err != nil {
				t.Fatal(err)
			}
		}); allocs != 0 {
			t.Errorf("%s: %v allocations", expression, allocs)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	for _, s := range corpus(t) {
		buf := make([]byte, 0, 64<<10)
		if allocs := testing.AllocsPerRun(100, func() {
			if _, err := s.table.AppendJSON(buf, s.data); err != nil {
				t.Fatal(err)
			}
			if _, err := s.table.AppendTree(buf, s.data); err != nil {
				t.Fatal(err)
			}
		}); allocs > 20 {
			t.Errorf("%s: %v allocations", s.name, allocs)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	all := features(b)
	data := parse(b, all, filtered)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = all.AppendJSON(buf[:0], data); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkParseJSON(b *testing.B) {
	all := features(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(filtered)))
	for b.Loop() {
		if _, err := all.ParseJSON([]byte(filtered)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatchVerified(b *testing.B) {
	all := features(b)
	data := parse(b, all, filtered)
	f, err := all.Filter("i64 > 1000 and u64 != 3")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !f.MatchVerified(data) {
			b.Fatal("no match")
		}
	}
}
