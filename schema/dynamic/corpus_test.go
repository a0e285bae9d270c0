package dynamic

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := testdata(t, name); string(want) != string(got) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func compileTestdata(t testing.TB, name string) *Schema {
	t.Helper()
	s, err := Compile(testdata(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func tableOf(t testing.TB, s *Schema, name string) *Table {
	t.Helper()
	table, ok := s.Table(name)
	if !ok {
		t.Fatalf("no table %s", name)
	}
	return table
}

// features is the table of testdata/features.fbs that has everything.
func features(t testing.TB) *Table {
	t.Helper()
	return tableOf(t, compileTestdata(t, "features.bfbs"), "features.All")
}

// monster is that of FlatBuffers' own test schema; where it comes from is in
// schema/verify/testdata.
func monster(t testing.TB) *Table {
	t.Helper()
	return tableOf(t, compileTestdata(t, "../../verify/testdata/monster_test.bfbs"), "MyGame.Example.Monster")
}

func parse(t testing.TB, table *Table, text string) []byte {
	t.Helper()
	data, err := table.ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return data
}

func render(t testing.TB, table *Table, data []byte) string {
	t.Helper()
	text, err := table.AppendJSON(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type specimen struct {
	name  string
	table *Table
	data  []byte
}

// corpus has every supported shape, from the builders of C++, Python and Go.
func corpus(t testing.TB) []specimen {
	t.Helper()
	all, mon := features(t), monster(t)
	return []specimen{
		{"features from C++", all, testdata(t, "full.flatc.bin")},
		{"special values from C++", all, testdata(t, "special.flatc.bin")},
		{"features from Go", all, parse(t, all, string(testdata(t, "full.json")))},
		{"nothing", all, parse(t, all, "{}")},
		{"monster from C++", mon, testdata(t, "../../verify/testdata/monsterdata_test.mon")},
		{"monster from Python", mon, testdata(t, "../../verify/testdata/monsterdata_python_wire.mon")},
	}
}
