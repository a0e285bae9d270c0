package main

import (
	"errors"
	"fmt"
)

type serveCmd struct {
	Data string `required:"" placeholder:"DIR" help:"Data directory; made when it does not exist."`
	WS   string `name:"ws" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where WAMP clients connect by WebSocket; port 0 picks a free one. Anonymous clients are let in from loopback only. (default: ${default})"`
	HTTP string `name:"http" default:"127.0.0.1:9090" placeholder:"HOST:PORT" help:"Where /metrics is; port 0 picks a free one. (default: ${default})"`
}

// Run serves until ctx ends, then shuts down in order.
func (c *serveCmd) Run(at *console) error {
	s, err := openServer(c.Data, c.WS, c.HTTP, at.log)
	if err != nil {
		return err
	}
	fmt.Fprintf(at.stderr, "WAMP at %s (realm verbatim), metrics at %s\n", s.wsURL(), s.metricsURL())
	err = errors.Join(s.serve(at.ctx), s.Close())
	if err == nil {
		fmt.Fprintln(at.stderr, "closed cleanly")
	}
	return err
}
