package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/eventstore"
)

type verifyCommand struct {
	Dir string `arg:"" name:"dir" help:"The store's directory, or a backup's."`

	JSON  bool `name:"json" help:"The report as one JSON object."`
	Child bool `hidden:"" help:"Verify in this process, and say in JSON how far it is."`
}

// Help is what es verify --help says below its first line.
func (*verifyCommand) Help() string {
	return `Reads all of the store, whether a process has it open or not, and changes
nothing: every record's checksum, data and tags, the order of positions,
versions and ids, that appends are whole, that the index has exactly what the
log says, and that the journal follows the log. The journal is left out while a
writer has the store.

A child process does the work, since some damage makes LMDB end it; that is
reported as damage, too. The report is on stdout, and the exit status is 0 when
nothing is damaged, 1 when something is, 2 when the store could not be verified.`
}

// message is one line of what the child says.
type message struct {
	Position uint64             `json:"position,omitempty"`
	Head     uint64             `json:"head,omitempty"`
	Report   *eventstore.Report `json:"report,omitempty"`
	Error    string             `json:"error,omitempty"`
}

func (c *verifyCommand) Run(to *console) error {
	if c.Child {
		return c.verify(to)
	}
	report, err := c.supervise(to)
	if err != nil {
		return &statusError{2, fmt.Errorf("verify: %w", err)}
	}
	if c.JSON {
		err = json.NewEncoder(to.stdout).Encode(report)
	} else {
		err = printReport(to.stdout, report)
	}
	if err != nil {
		return &statusError{2, err}
	}
	if !report.OK() {
		return fmt.Errorf("verify: %q is damaged, see stdout: %d problems", c.Dir, report.Found)
	}
	return nil
}

// verify is what the child does.
func (c *verifyCommand) verify(to *console) error {
	out := json.NewEncoder(to.stdout)
	last := message{}
	report, err := eventstore.VerifyDir(to.ctx, c.Dir, func(position, head uint64) {
		_ = out.Encode(message{Position: position, Head: head}) // who does not listen has gone
	})
	if last.Report = &report; err != nil {
		last.Report, last.Error = nil, err.Error()
	}
	return out.Encode(last)
}

// supervise runs the child. When it ends before it has reported, that is the
// report.
func (c *verifyCommand) supervise(to *console) (*eventstore.Report, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.CommandContext(to.ctx, program, "verify", "--child", "--", c.Dir)
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	child.WaitDelay = 10 * time.Second
	var complaint tail
	child.Stderr = &complaint
	stdout, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		return nil, err
	}
	last := listen(stdout, to.stderr)
	ended := child.Wait()
	switch {
	case to.ctx.Err() != nil:
		return nil, context.Cause(to.ctx)
	case last.Report != nil:
		return last.Report, nil
	case last.Error != "":
		return nil, errors.New(last.Error)
	case strings.Contains(fmt.Sprint(ended), "killed"):
		return nil, fmt.Errorf("the child process was killed behind position %d: is there too little memory?", last.Position)
	}
	report := &eventstore.Report{Head: last.Position, Found: 1}
	report.Problems = []eventstore.Problem{{Message: fmt.Sprintf(
		"reading behind position %d ended the process (%v): pages of LMDB are damaged: %s", last.Position, ended, complaint.summary())}}
	return report, nil
}

// listen shows the child's progress and returns the last of what it said, with
// the position it had come to.
func listen(from io.Reader, progress io.Writer) (last message) {
	show := newProgress(progress, "verified")
	for decoder := json.NewDecoder(from); ; {
		var m message
		if err := decoder.Decode(&m); err != nil {
			show.end()
			return last
		}
		if m.Report != nil || m.Error != "" {
			show.end()
			m.Position = last.Position
			return m
		}
		last = m
		show.at(m.Position, m.Head)
	}
}

// tail keeps the beginning of what a process says before it ends.
type tail struct{ bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if room := 4096 - t.Len(); room > 0 {
		t.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// summary is its first line, which says what happened.
func (t *tail) summary() string {
	line, _, _ := strings.Cut(strings.TrimSpace(t.String()), "\n")
	return line
}

func printReport(to io.Writer, r *eventstore.Report) error {
	out := bufio.NewWriter(to)
	if !r.Store.IsZero() { // the log could be opened
		fmt.Fprintf(out, "store %s: position %d, index %d: %d events of %d appends in %d streams, %d bytes\n",
			r.Store, r.Head, r.IndexPosition, r.Events, r.Appends, r.Streams, r.Bytes)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(out, "damage: %v\n", p)
	}
	if more := r.Found - len(r.Problems); more > 0 {
		fmt.Fprintf(out, "damage: and %d more\n", more)
	}
	if r.OK() {
		fmt.Fprintln(out, "no damage found")
	}
	return out.Flush()
}
