package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// progressInterval is how often a long command says how far it is. A short one
// says nothing.
const progressInterval = time.Second

// progress says on stderr how far a command is.
type progress struct {
	to    io.Writer
	done  string // what was done with what is counted
	next  time.Time
	shown bool
}

func newProgress(to io.Writer, done string) *progress {
	return &progress{to: to, done: done, next: time.Now().Add(progressInterval)}
}

// at says that n of all are done; all may be 0 when it is not known.
func (p *progress) at(n, all uint64) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(progressInterval), true
	if all == 0 {
		fmt.Fprintf(p.to, "es: %d %s\n", n, p.done)
		return
	}
	fmt.Fprintf(p.to, "es: %d of %d %s (%d%%)\n", n, all, p.done, 100*n/all)
}

// bytes is at for sizes.
func (p *progress) bytes(done, most int64) { p.at(uint64(done), uint64(most)) }

// end says that no more is to come, if anything was said.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintf(p.to, "es: all %s\n", p.done)
	}
}

// logger shows what a store has to say on stderr.
func logger(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
