package client

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// Options configures a [Client]. One of Schemas and Unverified is required; the
// zero value of every other field works.
type Options struct {
	// Realm is the WAMP realm; "" means "verbatim".
	Realm string
	// Serialization is "msgpack", "cbor" or "json"; "" means "msgpack".
	Serialization string
	// TLS configures wss and rss URLs.
	TLS *tls.Config

	// AuthID is who the client says it is, and Credentials prove it, whichever
	// of them the server asks for. Without any the client is anonymous.
	AuthID      string
	Credentials []Credential

	// Schemas are what the client's code was generated from. The data of every
	// event of their types, and every row of their views, is verified before it
	// is handed out, so that typed accessors may read it: a server is outside,
	// and its bytes are trusted no more than others. What their code does not
	// know is handed out as it is.
	Schemas *schema.Set
	// Unverified says that nothing is verified but records, their checksums and
	// where rows end: data and rows are as the server says. It is for programs
	// that only hand them on, or verify them themselves. One of Schemas and
	// Unverified must be set.
	Unverified bool

	// NoReconnect has the client be over when its first session is.
	NoReconnect bool
	// ReconnectMin and ReconnectMax are the first and the longest interval
	// between attempts to reconnect; 0 means 100 ms and 10 s. Each is cut
	// short at random by up to a half.
	ReconnectMin, ReconnectMax time.Duration
	// OnStatus is called with every change of the connection's status, one
	// after the other. Nothing is reconnected while it runs.
	OnStatus func(Status)

	// KeepAlive is how long the server may be silent before it is pinged; 0 means
	// 50 s. One that is silent for half as long again is gone; over TCP, one whose
	// machine or network is gone is noticed by the kernel after KeepAlive.
	KeepAlive time.Duration
	// MaxMessage is the largest message in either direction, in bytes; 0 means
	// 32 MiB for those that come, and 16 MiB, which is what a server takes by
	// default, for those that go.
	MaxMessage int
	// EventQueue is how many bytes of live events may wait for a subscription's
	// function; 0 means 16 MiB. A [Client.SubscribeTopic] over it ends with
	// [ErrFellBehind], a [Client.Subscribe] goes back to reading pages.
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
		o.KeepAlive = 50 * time.Second
	}
	if o.EventQueue == 0 {
		o.EventQueue = 16 << 20
	}
	if o.ReconnectMin == 0 {
		o.ReconnectMin = 100 * time.Millisecond
	}
	if o.ReconnectMax == 0 {
		o.ReconnectMax = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.ReconnectMax = max(o.ReconnectMax, o.ReconnectMin)
	if (o.Schemas == nil) == !o.Unverified {
		return o, 0, errors.New("client: set Options.Schemas to what the program's code was generated from, or Options.Unverified when it does not read what it gets, and not both")
	}
	if o.ReconnectMin < 0 || o.KeepAlive < 0 || o.MaxMessage < 0 || o.EventQueue < 0 {
		return o, 0, fmt.Errorf("client: options must not be negative")
	}
	format, ok := codec.BySubprotocol("wamp.2." + o.Serialization)
	if !ok {
		return o, 0, fmt.Errorf("client: serialization %q is unknown, use msgpack, cbor or json", o.Serialization)
	}
	return o, format, nil
}

// What MaxMessage stands for when it is 0.
const (
	maxIn  = 32 << 20
	maxOut = 16 << 20
)

func (o *Options) dialer(url string, format codec.Format) (dial.Dialer, error) {
	return dial.For(url, dial.Options{
		Format: format, TLS: o.TLS, Watch: o.KeepAlive, Patience: o.KeepAlive + o.KeepAlive/2,
		MaxIn: cmp.Or(o.MaxMessage, maxIn), MaxOut: cmp.Or(o.MaxMessage, maxOut),
	})
}

// helloDetails are those of HELLO.
func (o *Options) helloDetails() wamp.Dict {
	details := wamp.Dict{
		"agent": "verbatim-go",
		"roles": wamp.Dict{wamp.RoleCaller: wamp.Dict{"features": wamp.Dict{wamp.FeatureCallCanceling: true}}, wamp.RoleSubscriber: wamp.Dict{}},
	}
	if o.AuthID != "" {
		details["authid"] = o.AuthID
	}
	methods, extra := []string{}, wamp.Dict{}
	for _, c := range o.Credentials {
		methods = append(methods, c.Method)
		maps.Copy(extra, c.Extra)
	}
	if len(methods) > 0 {
		details["authmethods"] = methods
	}
	if len(extra) > 0 {
		details["authextra"] = extra
	}
	return details
}

// respond answers the server's challenge.
func (o *Options) respond(m *wamp.Challenge) (signature string, err error) {
	for _, c := range o.Credentials {
		if c.Method == m.AuthMethod {
			return c.Respond(m)
		}
	}
	return "", fmt.Errorf("the server wants authentication method %q", m.AuthMethod)
}
