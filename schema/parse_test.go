package schema_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, name string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(testdata(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func table(t testing.TB, s *schema.Schema, name string) *schema.Table {
	t.Helper()
	found, ok := s.Table(name)
	if !ok {
		t.Fatalf("no table %q", name)
	}
	return found
}

func TestParseBank(t *testing.T) {
	t.Parallel()
	s := parse(t, "bank.bfbs")
	if s.File != "bank.fbs" {
		t.Errorf("file %q", s.File)
	}
	type row struct {
		Name, Wire, Aggregate, State, View, Version string
		Role                                        schema.Role
	}
	var rows []row
	for _, table := range s.Tables {
		rows = append(rows, row{table.Name, table.Wire, table.Aggregate, table.State, table.View, table.Version, table.Role})
		if table.Namespace != "bank.account" || table.File != "bank.fbs" {
			t.Errorf("%s: namespace %q, file %q", table.Name, table.Namespace, table.File)
		}
	}
	const account = "bank.account.Account"
	want := []row{
		{account, "bank.account.account", "account", account, "", "", schema.RoleAggregate},
		{"bank.account.Balance", "bank.account.balance", "", "", "balances", "3", schema.RoleView},
		{"bank.account.Deposit", "bank.account.deposit", "account", account, "", "", schema.RoleCommand},
		{"bank.account.MoneyDeposited", "bank.account.deposited", "account", account, "", "", schema.RoleEvent},
		{"bank.account.Open", "bank.account.open", "account", account, "", "", schema.RoleCommand},
		{"bank.account.Opened", "bank.account.opened", "account", account, "", "", schema.RoleEvent},
		{"bank.account.Part", "bank.account.part", "", "", "", "", schema.RoleNone},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"An account's state, folded from its events.", "Closed accounts stay."}, s.Tables[0].Doc); diff != "" {
		t.Error(diff)
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	opened := table(t, parse(t, "bank.bfbs"), "bank.account.Opened")
	want := []*schema.Field{
		{Name: "owner", ID: 0, Offset: 4, Type: schema.Type{Base: schema.String}, Required: true, Tag: "owner", Personal: true, Doc: []string{"Who owns it."}},
		{Name: "branch", ID: 1, Offset: 6, Type: schema.Type{Base: schema.UInt}, Tag: "branch"},
		{Name: "channel", ID: 2, Offset: 8, Type: schema.Type{Base: schema.UByte, Enum: "bank.account.Channel"}, Tag: "channel"},
		{Name: "labels", ID: 3, Offset: 10, Type: schema.Type{Base: schema.Vector, Element: schema.String}, Tag: "label"},
		{Name: "limit", ID: 4, Offset: 12, Type: schema.Type{Base: schema.Long}, Optional: true, Tag: "limit"},
		{Name: "joint", ID: 5, Offset: 14, Type: schema.Type{Base: schema.Bool}, DefaultInt: 1, Tag: "joint"},
		{Name: "nickname", ID: 6, Offset: 16, Type: schema.Type{Base: schema.String}, Tag: "nickname"},
		// 7 is deprecated.
		{Name: "rate", ID: 8, Offset: 20, Type: schema.Type{Base: schema.Obj, Object: "bank.account.Rate", Struct: true}},
		{Name: "ratio", ID: 9, Offset: 22, Type: schema.Type{Base: schema.Double}, DefaultReal: 0.5},
	}
	// flatc notes that strings and objects can be absent, too.
	ignore := cmpopts.IgnoreFields(schema.Field{}, "Optional")
	if diff := cmp.Diff(want, opened.Fields, ignore); diff != "" {
		t.Error(diff)
	}
	for _, f := range opened.Fields {
		if f.Type.Base.Scalar() && f.Optional != (f.Name == "limit") {
			t.Errorf("%s: optional %v", f.Name, f.Optional)
		}
	}
}

func TestParseView(t *testing.T) {
	t.Parallel()
	balance := table(t, parse(t, "bank.bfbs"), "bank.account.Balance")
	if balance.Key != balance.Fields[0] || !balance.Key.Key {
		t.Errorf("primary key %+v", balance.Key)
	}
	f := balance.Fields
	want := []schema.Index{
		{Name: "owner", Fields: f[1:2]},
		{Name: "number", Fields: f[2:3], Unique: true},
		{Name: "balance", Fields: f[3:4]},
		{Name: "owner_balance", Fields: []*schema.Field{f[1], f[3]}},
		{Name: "balance_owner", Fields: []*schema.Field{f[3], f[1]}},
	}
	if diff := cmp.Diff(want, balance.Indexes); diff != "" {
		t.Error(diff)
	}
}

func TestParseStructsAndEnums(t *testing.T) {
	t.Parallel()
	s := parse(t, "bank.bfbs")
	var names []string
	for _, s := range s.Structs {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"bank.account.Rate", "es.Id"}, names); diff != "" {
		t.Error(diff)
	}
	rate := s.Structs[0]
	if rate.Size != 8 || rate.Align != 4 || len(rate.Fields) != 2 || rate.Fields[1].Offset != 4 {
		t.Errorf("%+v", rate)
	}
	want := &schema.Enum{
		Name: "bank.account.Channel", File: "bank.fbs", Base: schema.UByte,
		Values: []schema.EnumValue{{Name: "Branch", Value: 0}, {Name: "Online", Value: 1}},
	}
	if diff := cmp.Diff([]*schema.Enum{want}, s.Enums); diff != "" {
		t.Error(diff)
	}
}

func TestParseSeveralAggregatesAndFiles(t *testing.T) {
	t.Parallel()
	s := parse(t, "several.bfbs")
	var names []string
	for _, table := range s.Tables {
		names = append(names, table.Name)
	}
	if diff := cmp.Diff([]string{"several.Change", "several.Changed", "several.Other"}, names); diff != "" {
		t.Error(diff)
	}
	if got := table(t, s, "several.Changed"); got.Aggregate != "other" || got.State != "several.Other" {
		t.Errorf("Changed belongs to %q, %q", got.Aggregate, got.State)
	}
	if got := table(t, s, "several.Change"); got.Aggregate != "main" || got.State != "several.Main" {
		t.Errorf("Change belongs to %q, %q", got.Aggregate, got.State)
	}
}

func TestParseLeavesTheRecordOut(t *testing.T) {
	t.Parallel()
	s, err := schema.Parse(es.BFBS)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Tables) != 0 {
		t.Errorf("%d tables", len(s.Tables))
	}
}

func TestParseKeepsACopy(t *testing.T) {
	t.Parallel()
	bfbs := testdata(t, "bank.bfbs")
	s, err := schema.Parse(bfbs)
	if err != nil {
		t.Fatal(err)
	}
	clear(bfbs)
	if !bytes.Equal(s.BFBS, testdata(t, "bank.bfbs")) || table(t, s, "bank.account.Opened").Fields[0].Name != "owner" {
		t.Error("the schema changed with the caller's bytes")
	}
}

func TestParseFindings(t *testing.T) {
	t.Parallel()
	_, err := schema.Parse(testdata(t, "wrong.bfbs"))
	var findings *schema.FindingsError
	if !errors.As(err, &findings) {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, f := range findings.Findings {
		got = append(got, f.String())
	}
	want := strings.Split(strings.TrimSpace(string(testdata(t, "wrong.txt"))), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if message := err.Error(); !strings.HasPrefix(message, "schema: 38 things are wrong:\n\tcrowded.Absent.a: ") {
		t.Errorf("message %q", message)
	}
}

func TestParseRefusesWhatCannotBeVerified(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"unsupported.bfbs": {
			`unsupported.Structs: field "one": member "S" of union "unsupported.Members" is not a table`,
			`unsupported.Texts: field "one": member "Text" of union "unsupported.Strings" is not a table`,
			`unsupported.Vectors: field "all": vectors of unions are not supported`,
		},
		"aligned.bfbs":                            {`"Wide": its alignment of 16 is above 8`, "lower force_align"},
		"alignedvector.bfbs":                      {`"T": field "wide": its alignment of 32 is above 8`},
		"../verify/testdata/test_64bit.bfbs":      {`64-bit`},
		"../verify/testdata/monsterdata_test.mon": {"not a .bfbs file"},
	} {
		_, err := schema.Parse(testdata(t, name))
		if err == nil {
			t.Errorf("%s was accepted", name)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
	}
}

func TestParseNeverPanicsOnForeignBytes(t *testing.T) {
	t.Parallel()
	original := testdata(t, "bank2.bfbs")
	bfbs := slices.Clone(original)
	parsed := 0
	for i := range bfbs {
		for _, b := range []byte{0xff, original[i] ^ 1} {
			bfbs[i] = b
			if s, err := schema.Parse(bfbs); err == nil {
				parsed++
				for _, t := range s.Tables {
					_ = t.Name + t.Wire
				}
			}
		}
		bfbs[i] = original[i]
		_, _ = schema.Parse(original[:i])
	}
	if parsed == 0 {
		t.Error("no mutant was parsed: the test sees nothing")
	}
	if _, err := schema.Parse(make([]byte, verify.MaxBFBS+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too large: %v", err)
	}
}

func TestSnake(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                            "",
		"bank.account.MoneyDeposited": "bank.account.money_deposited",
		"HTTPServer2":                 "http_server2",
		"Deposited":                   "deposited",
		"V2Deposited":                 "v2_deposited",
		"already_snake":               "already_snake",
		"MyGame.Example":              "my_game.example",
		"ID":                          "id",
		"userID":                      "user_id",
		"My_Event":                    "my_event",
	} {
		if got := schema.Snake(name); got != want {
			t.Errorf("Snake(%q) = %q, want %q", name, got, want)
		}
	}
}
