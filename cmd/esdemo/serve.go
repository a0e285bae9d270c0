package main

import (
	"crypto/tls"
	"errors"
	"fmt"
)

type serveCmd struct {
	Data string `required:"" placeholder:"DIR" help:"Data directory; made when it does not exist."`
	doors
}

// doors are where the bank can be reached, and by whom.
type doors struct {
	WS   string `name:"ws" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where WAMP clients connect by WebSocket; port 0 picks a free one. Anonymous clients are let in from loopback only. (default: ${default})"`
	HTTP string `name:"http" default:"127.0.0.1:9090" placeholder:"HOST:PORT" help:"Where /metrics is; port 0 picks a free one. (default: ${default})"`

	RawSocket string `name:"rawsocket" placeholder:"HOST:PORT" help:"Where WAMP clients connect by RawSocket, too."`
	Unix      string `name:"unix" placeholder:"PATH" help:"The unix socket where they connect by RawSocket."`
	TLSCert   string `name:"tls-cert" type:"existingfile" placeholder:"FILE" help:"Certificate chain (PEM): --ws and --rawsocket speak TLS."`
	TLSKey    string `name:"tls-key" type:"existingfile" placeholder:"FILE" help:"Its private key (PEM)."`
	Users     string `name:"users" type:"existingfile" placeholder:"FILE" help:"Who else may log in; es user writes its lines."`

	Origin []string `name:"origin" placeholder:"URL" help:"An origin whose web pages may connect, such as http://127.0.0.1:8000; may be repeated."`
}

// tls is the configuration of the doors that speak TLS, nil for none.
func (d *doors) tls() (*tls.Config, error) {
	switch {
	case d.TLSCert == "" && d.TLSKey == "":
		return nil, nil
	case d.TLSCert == "" || d.TLSKey == "":
		return nil, errors.New("--tls-cert and --tls-key: give both, or none")
	}
	pair, err := tls.LoadX509KeyPair(d.TLSCert, d.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Run serves until ctx ends, then shuts down in order.
func (c *serveCmd) Run(at *console) error {
	s, err := openServer(c.Data, c.doors, at.log)
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
