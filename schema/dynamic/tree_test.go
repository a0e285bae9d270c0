package dynamic

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

func TestTree(t *testing.T) {
	t.Parallel()
	all := features(t)
	data := parse(t, all, string(testdata(t, "full.json")))
	text, err := all.AppendTree([]byte("before\n"), data)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := bytes.CutPrefix(text, []byte("before\n"))
	if !ok {
		t.Error("what was there is gone")
	}
	golden(t, "full.tree.txt", text)
	var streamed bytes.Buffer
	if err := all.WriteTree(&streamed, data); err != nil || !bytes.Equal(streamed.Bytes(), text) {
		t.Errorf("streamed as %s, %v", streamed.Bytes(), err)
	}
}

func TestTreeSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	all := features(t)
	list := func(element string) string { return "[" + strings.Repeat(element+",", 99) + element + "]" }
	for text, want := range map[string]string{
		`{"label": "z` + strings.Repeat("ü", 600) + `"}`: "ü\" … 178 more bytes",
		`{"bytes": ` + list("7") + `}`:                   "07 … 36 more bytes",
		`{"shorts": ` + list("7") + `}`:                  "7, … 36 more]",
		`{"leaves": ` + list(`{"name":"x"}`) + `}`:       "\n  … 36 more\n",
		`{"bytes": ""}`:                                  "bytes         (no bytes)\n",
		`{"leaves": []}`:                                 "leaves        []\n",
		`{"extra_type": "Nothing", "extra": {}}`:         "extra         Nothing (empty)\n",
	} {
		tree, err := all.AppendTree(nil, parse(t, all, text))
		if err != nil || !strings.Contains(string(tree), want) {
			t.Errorf("%q is not in %v\n%s", want, err, tree)
		}
	}
}

// Whatever a string holds, no terminal is told anything by it.
func TestTextHoldsNoControls(t *testing.T) {
	t.Parallel()
	all := features(t)
	var hostile strings.Builder
	for r := rune(0); r <= 0xffff; r++ {
		if r < 0xd800 || r > 0xdfff {
			hostile.WriteRune(r)
		}
	}
	for piece := range slices1000(hostile.String()) {
		var quoted output
		quoted.quoted([]byte(piece))
		data := parse(t, all, `{"label": `+string(quoted.buf)+`}`)
		tree, err := all.AppendTree(nil, data)
		if err != nil {
			t.Fatal(err)
		}
		text := render(t, all, data)
		for _, r := range text + strings.ReplaceAll(string(tree), "\n", "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%U is in the text", r)
			}
		}
		if got := contents(data, labelOf(t, all, data)); string(got) != piece {
			t.Fatalf("%q came back as %q", piece, got)
		}
	}
	for _, name := range []string{"a\x1b[2J", "a b", "", "a\"b", "\xff", "a\u202eb"} {
		var o output
		if o.plain(name); o.buf[0] != '"' {
			t.Errorf("%q is shown as %s", name, o.buf)
		}
	}
	var o output
	if o.plain("account-zürich"); string(o.buf) != "account-zürich" {
		t.Errorf("shown as %s", o.buf)
	}
	o.buf = nil
	if o.quoted([]byte("a\xffb")); string(o.buf) != `"a\ufffdb"` {
		t.Errorf("shown as %s", o.buf)
	}
}

// slices1000 cuts s into valid strings of some 1000 bytes, so that none of it
// is left out.
func slices1000(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := range s {
			if i-start >= 1000 {
				if !yield(s[start:i]) {
					return
				}
				start = i
			}
		}
		yield(s[start:])
	}
}

func labelOf(t *testing.T, all *Table, data []byte) int {
	t.Helper()
	at, ok := all.object.find(data, follow(data, 0), all.object.byName["label"])
	if !ok {
		t.Fatal("no label")
	}
	return at
}

func TestLongStringsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for shift := range 4 {
		s := strings.Repeat("x", shift) + strings.Repeat("😀", 2*chunk/4)
		var o output
		if o.quoted([]byte(s)); string(o.buf) != `"`+s+`"` {
			t.Errorf("shifted by %d, the string is %s…", shift, o.buf[:80])
		}
	}
}
