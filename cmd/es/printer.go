package main

import (
	"fmt"
	"io"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

// printer writes the events that a filter lets through: a line of JSON each, or
// text for people with an empty line in between.
type printer struct {
	out, stderr io.Writer
	where       *dataFilter
	show        func(dst, record []byte) ([]byte, error)
	lines       bool
	text        []byte
	count       int // of what was written
}

func newPrinter(out, stderr io.Writer, tables *dynamic.Set, where *dataFilter, json bool) *printer {
	p := &printer{out: out, stderr: stderr, where: where, show: tables.AppendRecordTree, lines: json}
	if json {
		p.show = tables.AppendRecordJSON
	}
	return p
}

// print writes the event, unless the filter is against it. One that the filter
// can't be asked about is left out, which stderr says.
func (p *printer) print(e event.Event) error {
	matches, err := p.where.match(e)
	if err != nil {
		fmt.Fprintf(p.stderr, "es: position %d is left out, as --where can't be asked: %v\n", e.Position(), err)
	}
	if err != nil || !matches {
		return nil
	}
	p.text = p.text[:0]
	if !p.lines && p.count > 0 {
		p.text = append(p.text, '\n')
	}
	if p.text, err = p.show(p.text, e.Record()); err != nil {
		return fmt.Errorf("position %d: %w", e.Position(), err)
	}
	if p.lines {
		p.text = append(p.text, '\n')
	}
	if _, err = p.out.Write(p.text); err == nil {
		p.count++
	}
	return err
}
