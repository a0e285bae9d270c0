package compat_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// conform is what flatc 25.12.19 itself says of a change:
//
//	flatc --conform old.fbs --conform-includes … -I … new.fbs
type conform bool

const (
	accepts conform = true
	refuses conform = false
)

// pairs are the directories of testdata/pairs, with every finding that the change
// from old to new makes in mode FULL_TRANSITIVE. Where flatc accepts and there
// is a finding, its --conform lets a break through; where it refuses and there
// is none, the data concerned is made anew.
var pairs = []struct {
	dir      string
	flatc    conform
	findings []string // "location: rule (directions)"
}{
	{"add-enum-value", accepts, nil},
	{"add-message", accepts, nil},
	{"add-table", accepts, nil},
	{"append-again", accepts, nil},
	{"append-deprecated", accepts, nil},
	{"append-field", accepts, nil},
	{"append-name-of-deprecated", refuses, nil},
	{"append-tagged", accepts, nil},
	{"deprecate-field", accepts, nil},
	{"included", refuses, nil},
	{"nested-spelled", accepts, nil},
	{"replace-field", accepts, nil},
	{"replace-tagged-number", accepts, nil},
	{"role-given", accepts, nil},
	{"root-added", accepts, nil},
	{"state-changed", refuses, nil},
	{"state-renamed", accepts, nil},
	{"view-dropped", accepts, nil},
	{"view-new-version", refuses, nil},
	{"view-new-version-of-parts", refuses, nil},
	{"view-role-dropped", refuses, nil},
	{"aggregate-moved", accepts, []string{"bank.Opened: aggregate-moved (backward,forward)"}},
	{"aggregate-removed", accepts, []string{"bank.account.Account: table-removed (backward)"}},
	{"alignment-changed", accepts, []string{"t.T.a: alignment-changed (backward)"}},
	{"alignment-lowered", accepts, []string{"t.T.a: alignment-changed (forward)"}},
	{"category-changed", accepts, []string{"bank.account.Account: category-changed (backward,forward)"}},
	{"default-changed", refuses, []string{"t.T.a: default-changed (backward,forward)"}},
	{"default-changed-real", refuses, []string{"t.T.a: default-changed (backward,forward)"}},
	{"enum-base-changed", refuses, []string{
		"t.Kind: enum-base-changed (backward,forward)",
		"t.T.k: field-retyped (backward,forward)",
	}},
	{"enum-renamed", refuses, []string{"t.T.k: field-retyped (backward,forward)"}},
	{"enum-value-removed", accepts, []string{"t.Kind.C: enum-value-removed (backward)"}},
	{"enum-value-renamed", accepts, []string{"t.Kind.B: enum-value-renamed (backward,forward)"}},
	{"enum-value-renumbered", refuses, []string{"t.Kind.B: enum-value-renumbered (backward,forward)"}},
	{"enum-value-squeezed", refuses, []string{
		"t.Kind.B: enum-value-removed (backward)",
		"t.Kind.C: enum-value-renumbered (backward,forward)",
	}},
	{"event-included", accepts, []string{"bank.account.Opened: table-removed (backward)"}},
	{"event-removed", accepts, []string{"bank.account.Opened: table-removed (backward)"}},
	{"field-deleted", refuses, []string{"t.T.b: field-deleted (backward)"}},
	{"field-deleted-deprecated", refuses, []string{"t.T.b: field-deleted (backward)"}},
	{"field-deleted-first", refuses, []string{
		"t.T.a: field-deleted (backward)",
		"t.T.b: field-renumbered (backward,forward)",
	}},
	{"field-deleted-required", refuses, []string{"t.T.b: field-deleted (backward,forward)"}},
	{"field-renamed", accepts, []string{"t.T.b: field-renamed (backward,forward)"}},
	{"field-renamed-to-deprecated", refuses, []string{"t.T.x: field-renamed (backward,forward)"}},
	{"field-renumbered", refuses, []string{
		"t.T.a: field-renumbered (backward,forward)",
		"t.T.b: field-renumbered (backward,forward)",
	}},
	{"field-retyped", refuses, []string{"t.T.a: field-retyped (backward,forward)"}},
	{"field-retyped-deprecated", refuses, []string{"t.T.b: field-retyped (backward)"}},
	{"field-retyped-vector", refuses, []string{"t.T.a: field-retyped (backward,forward)"}},
	{"field-reused", accepts, []string{"t.T.b: field-undeprecated (backward)"}},
	{"field-undeprecated", accepts, []string{"t.T.b: field-undeprecated (backward)"}},
	{"identifier-added", accepts, []string{"file_identifier: identifier-changed (backward)"}},
	{"identifier-changed", accepts, []string{"file_identifier: identifier-changed (backward,forward)"}},
	{"index-changed", accepts, []string{
		"bank.account.Balance.balance: index-changed (backward,forward)",
		"bank.account.Balance.balance_owner: index-changed (backward,forward)",
		"bank.account.Balance.owner: index-changed (backward,forward)",
		"bank.account.Balance.owner_balance: index-changed (backward,forward)",
	}},
	{"key-added", accepts, []string{"t.T.a: key-added (backward)"}},
	{"key-dropped", accepts, []string{"t.T.a: key-dropped (forward)"}},
	{"kind-changed", refuses, []string{"t.P: kind-changed (backward,forward)"}},
	{"kind-changed-enum", accepts, []string{"t.K: kind-changed (backward,forward)"}},
	{"kind-changed-table", accepts, []string{"t.K: kind-changed (backward,forward)"}},
	{"kind-changed-union", refuses, []string{"t.K: kind-changed (backward,forward)"}},
	{"nested-added", accepts, []string{"t.T.a: nested-changed (backward)"}},
	{"nested-changed", accepts, []string{"t.T.a: nested-changed (backward,forward)"}},
	{"nested-dropped", accepts, []string{"t.T.a: nested-changed (forward)"}},
	{"optional-changed", refuses, []string{"t.T.a: optional-changed (backward,forward)"}},
	{"part-shared-with-table", refuses, []string{"bank.account.Limits.daily: field-retyped (backward,forward)"}},
	{"part-shared-with-view", refuses, []string{"bank.account.Limits.daily: field-retyped (backward,forward)"}},
	{"required-added", accepts, []string{"t.T.b: required-added (backward)"}},
	{"required-added-new", accepts, []string{"t.T.b: required-added (backward)"}},
	{"required-deprecated", accepts, []string{"t.T.b: required-dropped (forward)"}},
	{"required-dropped", accepts, []string{"t.T.b: required-dropped (forward)"}},
	{"required-undeprecated", accepts, []string{
		"t.T.a: field-undeprecated (backward)",
		"t.T.a: required-added (backward)",
		"t.T.b: field-undeprecated (backward)",
	}},
	{"role-changed", accepts, []string{"bank.account.Opened: role-changed (backward,forward)"}},
	{"root-changed", accepts, []string{"root_type: root-changed (backward,forward)"}},
	{"struct-aligned", accepts, []string{"t.P: struct-changed (backward,forward)"}},
	{"struct-appended", accepts, []string{"t.P: struct-changed (backward,forward)"}},
	{"struct-key-added", accepts, []string{"t.P.x: key-added (backward)"}},
	{"struct-key-dropped", accepts, []string{"t.P.x: key-dropped (forward)"}},
	{"struct-renamed-field", accepts, []string{"t.P: struct-changed (backward,forward)"}},
	{"struct-reordered", refuses, []string{"t.P: struct-changed (backward,forward)"}},
	{"struct-shortened", refuses, []string{"t.P: struct-changed (backward,forward)"}},
	{"table-removed", accepts, []string{"t.Gone: table-removed (backward)"}},
	{"tag-added", accepts, []string{"bank.account.Opened.owner: tag-changed (backward)"}},
	{"tag-deprecated", accepts, []string{"bank.account.Opened.owner: tag-changed (forward)"}},
	{"tag-dropped", accepts, []string{"bank.account.Opened.owner: tag-changed (forward)"}},
	{"tag-of-default", accepts, []string{"bank.account.Opened.branch: tag-changed (backward)"}},
	{"tag-of-two", accepts, []string{"bank.account.Opened.owner: tag-changed (forward)"}},
	{"tag-renamed", accepts, []string{"bank.account.Opened.owner: tag-changed (backward,forward)"}},
	{"tag-undeprecated", accepts, []string{
		"bank.account.Opened.owner: field-undeprecated (backward)",
		"bank.account.Opened.owner: tag-changed (backward)",
	}},
	{"union-field-renamed", accepts, []string{"t.T.u: field-renamed (backward,forward)"}},
	{"union-member-added", accepts, []string{"t.U.Y: union-member-added (forward)"}},
	{"union-member-moved", refuses, []string{"t.U.Y: union-member-renumbered (backward,forward)"}},
	{"union-member-removed", accepts, []string{"t.U.Y: union-member-removed (backward)"}},
	{"union-member-renamed", accepts, []string{"t.U.A: union-member-renamed (backward,forward)"}},
	{"union-member-renumbered", refuses, []string{
		"t.U.X: union-member-renumbered (backward,forward)",
		"t.U.Y: union-member-renumbered (backward,forward)",
	}},
	{"union-member-retyped", accepts, []string{"t.U.A: union-member-retyped (backward,forward)"}},
	{"view-field-renumbered", refuses, []string{
		"bank.account.Balance.owner: field-renumbered (backward,forward)",
		"bank.account.Balance.owner: view-layout (backward,forward)",
	}},
	{"view-key-changed", accepts, []string{"bank.account.Balance: view-key-changed (backward,forward)"}},
	{"view-layout", accepts, []string{
		"bank.account.Balance.extra: view-layout (backward,forward)",
		"bank.account.Balance.owner: view-layout (backward,forward)",
		"bank.account.Balance.seen: view-layout (backward,forward)",
	}},
	{"view-renamed", accepts, []string{"bank.account.Balance: view-renamed (backward,forward)"}},
	{"wire-changed", accepts, []string{"bank.account.Opened: wire-changed (backward,forward)"}},
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	bfbs, err := os.ReadFile(filepath.Join("testdata", "pairs", dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return bfbs
}

func describe(findings []compat.Finding) []string {
	var lines []string
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s: %s (%s)", f.Location, f.Rule, f.Breaks))
	}
	return lines
}

func TestPairs(t *testing.T) {
	t.Parallel()
	modes := map[compat.Mode]compat.Direction{
		compat.FullTransitive: compat.Backward | compat.Forward, compat.Full: compat.Backward | compat.Forward,
		compat.BackwardTransitive: compat.Backward, compat.BackwardOnly: compat.Backward,
		compat.ForwardTransitive: compat.Forward, compat.ForwardOnly: compat.Forward,
		compat.NoCheck: 0,
	}
	for _, pair := range pairs {
		t.Run(pair.dir, func(t *testing.T) {
			t.Parallel()
			old, new := read(t, pair.dir, "old.bfbs"), read(t, pair.dir, "new.bfbs")
			all, err := compat.Check(old, new, compat.FullTransitive)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(all); !slices.Equal(got, pair.findings) {
				t.Errorf("findings:\n%q\nwant:\n%q", got, pair.findings)
			}
			for mode, asked := range modes {
				got, err := compat.Check(old, new, mode)
				want := slices.DeleteFunc(slices.Clone(all), func(f compat.Finding) bool { return f.Breaks&asked == 0 })
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %v, %v, want %v", mode, got, err, want)
				}
			}
			for _, same := range [][]byte{old, new} {
				if got, err := compat.Check(same, same, compat.FullTransitive); len(got) > 0 || err != nil {
					t.Errorf("against itself: %v, %v", got, err)
				}
			}
		})
	}
}

// TestEveryRule keeps the table complete: each directory is in it, and each
// rule is found somewhere.
func TestEveryRule(t *testing.T) {
	t.Parallel()
	seen := make(map[compat.Rule]bool)
	var listed []string
	for _, pair := range pairs {
		listed = append(listed, pair.dir)
		findings, err := compat.Check(read(t, pair.dir, "old.bfbs"), read(t, pair.dir, "new.bfbs"), compat.Full)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			seen[f.Rule] = true
		}
	}
	for _, rule := range compat.Rules() {
		if !seen[rule] {
			t.Errorf("no pair breaks rule %s", rule)
		}
		delete(seen, rule)
	}
	for rule := range seen {
		t.Errorf("rule %s is not in Rules", rule)
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "pairs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(listed, entry.Name()) {
			t.Errorf("testdata/pairs/%s is not in the table", entry.Name())
		}
	}
}

// TestConform checks that the table's verdicts are flatc's own.
func TestConform(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: may build flatc")
	}
	compiler, err := flatc.Find(context.Background(), flatc.Options{Progress: os.Stderr})
	if none := (*flatc.NoCompilerError)(nil); errors.As(err, &none) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if compiler.Version != "25.12.19" {
		t.Skipf("the verdicts are those of flatc 25.12.19, this is %s", compiler.Version)
	}
	for _, pair := range pairs {
		dir := filepath.Join("testdata", "pairs", pair.dir)
		err := compiler.Run(t.Context(), ".", nil, "--conform", filepath.Join(dir, "old.fbs"),
			"--conform-includes", "..", "-I", "..", filepath.Join(dir, "new.fbs"))
		refused := (*flatc.Error)(nil)
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if got := conform(err == nil); got != pair.flatc {
			t.Errorf("%s: flatc --conform says %v, the table %v: %v", pair.dir, got, pair.flatc, err)
		}
	}
}
