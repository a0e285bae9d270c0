package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
	"github.com/verbatim-es/verbatim/metrics"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// shutdownTime bounds how long HTTP requests in flight may take to end.
const shutdownTime = 5 * time.Second

// server is the bank: store, views, bus and metrics on one data directory.
type server struct {
	store *eventstore.Store
	views *projection.Engine
	bus   *wampbus.Bus

	ws, http net.Listener
	raw      []net.Listener // by RawSocket
	secure   bool           // ws speaks TLS
	metrics  *http.Server
	log      *slog.Logger
}

// openServer opens the data directory and the listeners; nothing is served
// yet. The caller must Close it.
func openServer(dir string, d doors, log *slog.Logger) (s *server, err error) {
	s = &server{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.listen(d); err != nil {
		return s, err
	}
	var people *users.File
	if d.Users != "" {
		report := func(err error) { log.Error("the users stay as they were", "error", err) }
		if people, err = users.Open(d.Users, report); err != nil {
			return s, fmt.Errorf("--users: %w", err)
		}
	}
	if s.store, err = eventstore.Open(dir, eventstore.Options{Schemas: slices.Concat(account.Schema, course.Schema), Logger: log}); err != nil {
		return s, fmt.Errorf("--data: %w", err)
	}
	views := filepath.Join(dir, "views")
	if s.views, err = projection.Open(views, s.store, projection.Options{Logger: log}, accountview.Balances(bank.Balances{})); err != nil {
		return s, fmt.Errorf("--data: %w", err)
	}
	accounts := account.NewHandler(s.store, bank.Teller{}, aggregate.Options{})
	courses := course.NewHandler(s.store, campus.Registrar{MaxCourses: maxCourses}, aggregate.Options{})
	if s.bus, err = wampbus.New(wampbus.Options{
		Log:      s.store,
		Schemas:  s.store.Schemas(),
		Views:    s.views,
		Handlers: []wampbus.CommandHandler{accounts, courses},
		Logger:   log,
		// Who can reach the loopback address may bank. Nobody may append events
		// past the teller.
		Anonymous: wampbus.Reader | wampbus.Commander,
		Users:     people,

		AllowedOrigins: d.Origin,
	}); err != nil {
		return s, err
	}
	s.metrics = &http.Server{Handler: s.metricsHandler(), ReadHeaderTimeout: shutdownTime}
	return s, nil
}

func (s *server) listen(d doors) (err error) {
	config, err := d.tls()
	if err != nil {
		return err
	}
	open := func(flag, network, address string, config *tls.Config) (net.Listener, error) {
		listener, err := net.Listen(network, address)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
		if config != nil {
			listener = tls.NewListener(listener, config)
		}
		return listener, nil
	}
	s.secure = config != nil
	if s.ws, err = open("ws", "tcp", d.WS, config); err != nil {
		return err
	}
	if s.http, err = open("http", "tcp", d.HTTP, nil); err != nil {
		return err
	}
	if d.RawSocket != "" {
		listener, err := open("rawsocket", "tcp", d.RawSocket, config)
		if err != nil {
			return err
		}
		s.raw = append(s.raw, listener)
	}
	if d.Unix != "" {
		if err := removeStale(d.Unix); err != nil {
			return fmt.Errorf("--unix: %w", err)
		}
		listener, err := open("unix", "unix", d.Unix, nil)
		if err != nil {
			return err
		}
		s.raw = append(s.raw, listener)
	}
	return nil
}

// removeStale removes the unix socket of a process that was killed: nobody
// listens to it any more, and nobody else can while it is there.
func removeStale(path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil // to listen says what is wrong
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		return conn.Close() // it is in use, which listening says
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

func (s *server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.New(metrics.Sources{Store: s.store, Views: s.views, Bus: s.bus}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	return mux
}

// serve serves until ctx ends or a listener fails, then lets sessions and
// requests in flight end.
func (s *server) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	// The bus is closed as a whole, not its listener first: so subscribers get
	// what was committed before they get their GOODBYE.
	group.Go(func() error { return s.bus.ServeWebSocket(context.WithoutCancel(ctx), s.ws) })
	for _, listener := range s.raw {
		group.Go(func() error { return s.bus.ServeRawSocket(context.WithoutCancel(ctx), listener) })
	}
	group.Go(func() error {
		if err := s.metrics.Serve(s.http); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		return errors.Join(s.bus.Close(), s.metrics.Shutdown(patience))
	})
	return group.Wait()
}

// Close closes what is open, the bus first: the store outlives its users.
func (s *server) Close() error {
	var errs []error
	if s.bus != nil {
		errs = append(errs, s.bus.Close())
	}
	if s.views != nil {
		errs = append(errs, s.views.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	for _, l := range append(s.raw, s.ws, s.http) {
		if l != nil {
			_ = l.Close() // already closed where it was served
		}
	}
	return errors.Join(errs...)
}

func (s *server) wsURL() string {
	scheme := "ws://"
	if s.secure {
		scheme = "wss://"
	}
	return scheme + s.ws.Addr().String() + "/"
}

func (s *server) metricsURL() string { return "http://" + s.http.Addr().String() + "/metrics" }
