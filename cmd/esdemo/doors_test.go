package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// A socket that a killed process left is taken over, and one that is served is
// not, nor is a file.
func TestUnixSocketOfAKilledProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listen := func() (*server, error) {
		s := new(server)
		return s, s.listen(doors{WS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Unix: path})
	}
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	served, err := listen()
	if err == nil {
		t.Error("a socket that is served was taken over")
	}
	if err := errors.Join(served.Close(), left.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := listen()
	if err != nil {
		t.Errorf("a socket that was left: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = listen()
	if err == nil {
		t.Error("a file was taken over")
	}
	if content, err := os.ReadFile(path); string(content) != "mine" {
		t.Errorf("the file has %q, %v", content, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Every door that the command line names is open: WebSocket and RawSocket under
// TLS, a unix socket, and users may log in.
func TestDoors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := doors{
		WS: "127.0.0.1:0", HTTP: "127.0.0.1:0", RawSocket: "127.0.0.1:0", Unix: filepath.Join(dir, "s"),
		TLSCert: filepath.Join(dir, "cert"), TLSKey: filepath.Join(dir, "key"), Users: filepath.Join(dir, "users"),
	}
	trusted := certificate(t, d.TLSCert, d.TLSKey)
	ann, err := users.New("ann", "writer", users.Ticket, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Users, []byte(ann.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openServer(filepath.Join(dir, "data"), d, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.serve(ctx) }()
	config := &tls.Config{RootCAs: trusted}
	dialing, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(dialing, s.wsURL(), client.Options{Unverified: true, TLS: config, AuthID: "ann", Credentials: []client.Credential{client.Ticket("a")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Head(dialing); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	raw, err := tls.Dial("tcp", s.raw[0].Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	unix, err := net.Dial("unix", d.Unix)
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{raw, unix} {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = conn.Write([]byte{0x7f, 0xf2, 0, 0})
		answer := make([]byte, 4)
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 0x7f || answer[1] != 0xf2 {
			t.Errorf("%v answers % x, %v", conn.RemoteAddr(), answer, err)
		}
		_ = conn.Close()
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*doors){
		"half of TLS": func(d *doors) { d.TLSKey = "" },
		"no key":      func(d *doors) { d.TLSKey = d.TLSCert },
		"no users":    func(d *doors) { d.Users = d.TLSCert },
	} {
		wrong := d
		change(&wrong)
		if s, err := openServer(filepath.Join(dir, "data"), wrong, slog.New(slog.DiscardHandler)); err == nil {
			_ = s.Close()
			t.Errorf("%s: it opened", name)
		}
	}
}

// certificate writes a certificate and its key, and returns who trusts it.
func certificate(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) {
		t.Fatal("no certificate")
	}
	return pool
}
