package main

import (
	"fmt"
	"net"
	"net/http"

	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"
)

const realm = "verbatim"

// session is a WAMP client that does as little as possible: what it costs is
// measured with the server.
type session struct {
	conn  *websocket.Conn
	codec serialize.MessagePackSerializer
}

func join(address string) (*session, error) {
	dialer := websocket.Dialer{
		Subprotocols: []string{"wamp.2.msgpack"}, ReadBufferSize: 16 << 10,
		NetDial: func(_, _ string) (net.Conn, error) { return net.Dial("tcp", address) },
	}
	conn, _, err := dialer.Dial("ws://"+address+"/", http.Header{})
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn}
	if err := s.send(&wamp.Hello{Realm: realm, Details: wamp.Dict{"roles": wamp.Dict{"subscriber": wamp.Dict{}, "caller": wamp.Dict{}}}}); err != nil {
		return nil, err
	}
	_, err = expect[*wamp.Welcome](s)
	return s, err
}

func (s *session) send(m wamp.Message) error {
	bytes, err := s.codec.Serialize(m)
	if err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.BinaryMessage, bytes)
}

func (s *session) receive() (wamp.Message, error) {
	_, bytes, err := s.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	return s.codec.Deserialize(bytes)
}

func expect[M wamp.Message](s *session) (M, error) {
	m, err := s.receive()
	if err != nil {
		var none M
		return none, err
	}
	wanted, ok := m.(M)
	if !ok {
		return wanted, fmt.Errorf("the server sent %s: %v", m.MessageType(), m)
	}
	return wanted, nil
}

// follow subscribes to a topic.
func (s *session) follow(topic string) error {
	if err := s.send(&wamp.Subscribe{Request: 1, Topic: wamp.URI(topic), Options: wamp.Dict{}}); err != nil {
		return err
	}
	_, err := expect[*wamp.Subscribed](s)
	return err
}

// skip reads one message and forgets it.
func (s *session) skip(buffer []byte) error {
	_, r, err := s.conn.NextReader()
	if err != nil {
		return err
	}
	for {
		if _, err := r.Read(buffer); err != nil {
			break
		}
	}
	return nil
}
