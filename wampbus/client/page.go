package client

import (
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// checkPage verifies a page that a server sent for s: every record, that they
// are as many as it says and in order, and that it leads on.
func (c *Client) checkPage(p *event.Page, s *event.Selection) error {
	n, last := 0, uint64(0)
	for e, err := range p.Events() {
		if err != nil {
			return fmt.Errorf("es.read answered a page: %w", err)
		}
		if err := c.checkData(e); err != nil {
			return err
		}
		at := e.Position()
		inOrder := at > last && at > s.After && at <= p.Last
		if s.Backward {
			inOrder = (last == 0 || at < last) && (s.After == 0 || at < s.After) && at >= p.Last
		}
		if !inOrder {
			return fmt.Errorf("es.read answered a page: %w", &event.CorruptError{Position: at, Message: fmt.Sprintf("it is out of order, behind position %d", last)})
		}
		n, last = n+1, at
	}
	switch {
	case n != p.Count:
		return fmt.Errorf("es.read answered %d records and says that they are %d", n, p.Count)
	case !s.Backward && p.More && p.Last <= s.After, !s.Backward && !p.More && p.Last != p.Head:
		return fmt.Errorf("es.read answered a page from %d to %d of %d, more %v, that leads nowhere", s.After, p.Last, p.Head, p.More)
	}
	p.Checked = true
	return nil
}

// checkData verifies the data of an event by the schemas that the client's code
// was generated from, whichever version of them wrote it. Types that they don't
// have, no code of theirs will read.
func (c *Client) checkData(e event.Event) error {
	if c.options.Unverified {
		return nil
	}
	if err := invalid(e.Type(), c.options.Schemas.VerifyReadable(e.Type(), e.Data())); err != nil {
		return fmt.Errorf("the event at position %d: %w", e.Position(), err)
	}
	return nil
}

// invalid is what a refusal of a type's bytes means to a program: nothing, when
// its code does not have the type.
func invalid(typ string, err error) error {
	var wrong *verify.Error
	switch {
	case errors.As(err, new(*schema.UnknownTypeError)):
		return nil
	case errors.As(err, &wrong):
		return &event.InvalidDataError{Type: typ, Path: wrong.Path, Offset: wrong.Offset, Message: wrong.Message}
	}
	return err
}
