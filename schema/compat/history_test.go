package compat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema/compat"
)

func TestCheckHistory(t *testing.T) {
	t.Parallel()
	// b:string is deleted, then its id and name are given to b:[ubyte].
	history := [][]byte{
		read(t, "field-deleted", "old.bfbs"),
		read(t, "field-deleted", "old.bfbs"),
		read(t, "append-again", "old.bfbs"),
	}
	reused := read(t, "append-again", "new.bfbs")
	for _, c := range []struct {
		mode compat.Mode
		want []string
	}{
		{compat.FullTransitive, []string{"t.T.b: field-retyped (backward,forward)"}},
		{compat.BackwardTransitive, []string{"t.T.b: field-retyped (backward,forward)"}},
		{compat.ForwardTransitive, []string{"t.T.b: field-retyped (backward,forward)"}},
		{compat.Full, nil}, {compat.BackwardOnly, nil}, {compat.ForwardOnly, nil}, {compat.NoCheck, nil},
	} {
		findings, err := compat.CheckHistory(history, reused, c.mode)
		if err != nil || !slices.Equal(describe(findings), c.want) {
			t.Errorf("%s: %q, %v, want %q", c.mode, describe(findings), err, c.want)
		}
		for _, f := range findings {
			if f.Against != 1 {
				t.Errorf("%s: against version %d, want 1, the newest with b:string", c.mode, f.Against)
			}
		}
	}
	if findings, err := compat.CheckHistory(nil, reused, compat.FullTransitive); len(findings) > 0 || err != nil {
		t.Errorf("without a history: %v, %v", findings, err)
	}
}

// A view may go back to an old version's number only with that version's rows.
func TestViewVersionComesBack(t *testing.T) {
	t.Parallel()
	one, two := read(t, "view-new-version", "old.bfbs"), read(t, "view-new-version", "new.bfbs")
	findings, err := compat.CheckHistory([][]byte{one, two}, one, compat.FullTransitive)
	if len(findings) > 0 || err != nil {
		t.Errorf("the same rows again: %v, %v", findings, err)
	}
	findings, err = compat.CheckHistory([][]byte{read(t, "view-layout", "new.bfbs"), two}, read(t, "view-layout", "old.bfbs"), compat.FullTransitive)
	if len(findings) == 0 || err != nil {
		t.Errorf("other rows under an old version: %v, %v", findings, err)
	}
}

func TestRefusedSchemas(t *testing.T) {
	t.Parallel()
	good := read(t, "append-field", "old.bfbs")
	bad := good[:len(good)-1]
	for _, mode := range []compat.Mode{compat.FullTransitive, compat.NoCheck} {
		for want, check := range map[string]func() ([]compat.Finding, error){
			"old schema: ": func() ([]compat.Finding, error) { return compat.Check(bad[:9], good, mode) },
			"new schema: ": func() ([]compat.Finding, error) { return compat.Check(good, bad[:9], mode) },
			"version 2 of 3: ": func() ([]compat.Finding, error) {
				return compat.CheckHistory([][]byte{good, bad[:9], good}, good, mode)
			},
		} {
			if findings, err := check(); findings != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, %v, want an error that starts with %q", mode, findings, err, want)
			}
		}
	}
	if _, err := compat.Check(good, good, 99); err == nil {
		t.Error("mode 99 is taken")
	}
}

func TestModeText(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]compat.Mode{
		"NONE": compat.NoCheck, "BACKWARD": compat.BackwardOnly, "FORWARD": compat.ForwardOnly, "FULL": compat.Full,
		"BACKWARD_TRANSITIVE": compat.BackwardTransitive, "FORWARD_TRANSITIVE": compat.ForwardTransitive, "FULL_TRANSITIVE": compat.FullTransitive,
	} {
		for _, spelled := range []string{name, strings.ToLower(name)} {
			if got, err := compat.ParseMode(spelled); got != want || err != nil {
				t.Errorf("ParseMode(%q) = %v, %v", spelled, got, err)
			}
		}
		text, err := want.MarshalText()
		var back compat.Mode = 99
		if string(text) != name || err != nil || back.UnmarshalText(text) != nil || back != want {
			t.Errorf("%s: written as %q, %v, read as %v", name, text, err, back)
		}
	}
	if _, err := compat.ParseMode("FULLY"); err == nil || !strings.Contains(err.Error(), `"FULLY"`) {
		t.Errorf("FULLY: %v", err)
	}
	if _, err := compat.Mode(99).MarshalText(); err == nil {
		t.Error("mode 99 is written")
	}
}
