package client

import (
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// State is what a client does.
type State uint8

// The states of a client.
const (
	Connected    State = iota + 1 // a session is there
	Reconnecting                  // it is lost, another is being made
	Closed                        // it is over, see [Client.Err]
)

func (s State) String() string {
	switch s {
	case Connected:
		return "connected"
	case Reconnecting:
		return "reconnecting"
	case Closed:
		return "closed"
	}
	return "none"
}

// Status is the state of a client's connection.
type Status struct {
	State State
	// Since is when that began.
	Since time.Time
	// Sessions is how many sessions there have been.
	Sessions int
	// Attempts is how many attempts to reconnect have failed in a row.
	Attempts int
	// Err is why the last session ended, or the last attempt failed.
	Err error
	// Store is the log's, zero when the client may not ask.
	Store event.ID
}

// Status returns the state of the connection.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// change changes the status and tells Options.OnStatus. Only the goroutine that
// keeps the session calls it.
func (c *Client) change(change func(*Status)) {
	c.mu.Lock()
	before := c.status.State
	change(&c.status)
	if c.status.State != before {
		c.status.Since = time.Now()
	}
	status := c.status
	c.mu.Unlock()
	if c.options.OnStatus != nil {
		c.options.OnStatus(status)
	}
}
