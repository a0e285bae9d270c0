package client

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Options configures a [Client]. Its zero value works.
type Options struct {
	// Realm is the WAMP realm; "" means "verbatim".
	Realm string
	// Serialization is "msgpack", "cbor" or "json"; "" means "msgpack".
	Serialization string
	// TLS configures wss URLs.
	TLS *tls.Config

	// AuthID is who the client says it is, and Authenticators answer the
	// challenge that this brings, by authentication method. Without any the
	// client is anonymous.
	AuthID         string
	Authenticators map[string]func(*wamp.Challenge) (signature string, err error)

	// KeepAlive is the interval of pings; 0 means 20 s. A server that sends
	// nothing for three intervals is gone.
	KeepAlive time.Duration
	// MaxMessage is the largest message in either direction, in bytes; 0 means
	// 32 MiB. Servers accept less.
	MaxMessage int
	// EventQueue is how many bytes of live events may wait for a subscription's
	// function; 0 means 16 MiB. A subscription over it ends with [ErrFellBehind].
	EventQueue int
	// Logger receives what nobody can be told otherwise; nil means
	// [slog.Default].
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, codec.Format, error) {
	if o.Realm == "" {
		o.Realm = "verbatim"
	}
	if o.Serialization == "" {
		o.Serialization = codec.MessagePack.String()
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 20 * time.Second
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 32 << 20
	}
	if o.EventQueue == 0 {
		o.EventQueue = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.KeepAlive < 0 || o.MaxMessage < 0 || o.EventQueue < 0 {
		return o, 0, fmt.Errorf("client: options must not be negative")
	}
	format, ok := codec.BySubprotocol("wamp.2." + o.Serialization)
	if !ok {
		return o, 0, fmt.Errorf("client: serialization %q is unknown, use msgpack, cbor or json", o.Serialization)
	}
	return o, format, nil
}
