package codegen

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"
)

// writer collects the text of one Go file.
type writer struct{ bytes.Buffer }

// p writes a formatted line.
func (w *writer) p(text string, args ...any) {
	fmt.Fprintf(w, text, args...)
	w.WriteByte('\n')
}

// doc writes a comment: what the generator says, in paragraphs that it wraps,
// and below it the schema's own lines, as they are.
func (w *writer) doc(schemaDoc []string, text string, args ...any) {
	for i, paragraph := range strings.Split(fmt.Sprintf(text, args...), "\n\n") {
		if i > 0 {
			w.comment("")
		}
		for _, line := range wrap(paragraph) {
			w.comment(line)
		}
	}
	if text != "" && len(schemaDoc) > 0 {
		w.comment("")
	}
	for _, line := range schemaDoc {
		w.comment(line)
	}
}

// wrap breaks text between words into lines for a comment.
func wrap(text string) []string {
	const width = 77
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line == "" {
		return lines
	}
	return append(lines, line)
}

func (w *writer) comment(line string) {
	w.p("%s", strings.TrimRight("// "+line, " "))
}

// source returns the text in gofmt's form.
func (w *writer) source() ([]byte, error) {
	formatted, err := format.Source(w.Bytes())
	if err != nil {
		return nil, fmt.Errorf("generated Go does not parse, which is a fault of es generate, please report it with the schema: %w", err)
	}
	return formatted, nil
}
