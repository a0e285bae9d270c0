package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// conversation is a client of another language that obeys the test; the orders
// are described in conversation.js.
type conversation struct {
	t       *testing.T
	in      io.WriteCloser
	answers chan []byte
	trouble *bytes.Buffer
	ended   chan error
}

// talk starts a client and returns when it has subscribed.
func talk(t *testing.T, name string, args ...string) *conversation {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), nexusVariable+"=1") // which only this binary heeds
	c := &conversation{t: t, answers: make(chan []byte), trouble: new(bytes.Buffer), ended: make(chan error, 1)}
	cmd.Stderr = c.trouble
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.answers)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				c.ended <- cmd.Wait()
				return
			}
			select {
			case c.answers <- line:
			case <-t.Context().Done():
			}
		}
	}()
	var ready struct{ Ready bool }
	if c.answer(&ready); !ready.Ready {
		t.Fatal("the client's first line does not say that it is ready")
	}
	return c
}

// ask gives an order and decodes the answer into answer.
func (c *conversation) ask(answer any, format string, values ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", values...); err != nil {
		c.t.Fatalf("%v: %s", err, c.trouble)
	}
	c.answer(answer)
}

func (c *conversation) answer(answer any) {
	c.t.Helper()
	select {
	case line, ok := <-c.answers:
		if !ok {
			c.t.Fatalf("the client ended: %v: %s", <-c.ended, c.trouble)
		}
		if err := json.Unmarshal(line, answer); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
	case <-time.After(patience):
		c.t.Fatalf("the client has said nothing for %v", patience)
	}
}

// end lets the client leave and waits until it has.
func (c *conversation) end() {
	c.t.Helper()
	if err := c.in.Close(); err != nil {
		c.t.Fatal(err)
	}
	for line := range c.answers {
		c.t.Errorf("the client says %q after the end", line)
	}
	if err := <-c.ended; err != nil {
		c.t.Fatalf("the client failed at the end: %v: %s", err, c.trouble)
	}
}
