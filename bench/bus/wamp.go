package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"
)

const realm = "verbatim"

// session is a WAMP client that does as little as possible: what it costs is
// measured with the server.
type session struct {
	conn   *websocket.Conn
	codec  serialize.MessagePackSerializer
	buffer []byte
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

// page reads a RESULT and returns which call it answers, and its page, which is
// valid until the next one. Only what is in front of the page is decoded.
func (s *session) page() (request uint64, page []byte, err error) {
	_, r, err := s.conn.NextReader()
	if err != nil {
		return 0, nil, err
	}
	message := s.buffer[:0]
	for {
		if len(message) == cap(message) {
			message = slices.Grow(message, max(64<<10, cap(message)))
		}
		n, err := r.Read(message[len(message):cap(message)])
		message = message[:len(message)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, nil, err
		}
	}
	s.buffer = message
	request, page, ok := pageOf(message)
	if !ok {
		return 0, nil, fmt.Errorf("the server sent no page, but %.200q", message)
	}
	return request, page, nil
}

// pageOf finds request and page in [50, request, {}, [page], ...] in MessagePack.
func pageOf(message []byte) (request uint64, page []byte, ok bool) {
	if len(message) < 16 || message[0]&0xf0 != 0x90 || message[1] != 50 {
		return 0, nil, false
	}
	at := 3
	switch b := message[2]; {
	case b < 0x80:
		request = uint64(b)
	case b >= 0xcc && b <= 0xcf:
		for range 1 << (b - 0xcc) {
			request = request<<8 | uint64(message[at])
			at++
		}
	default:
		return 0, nil, false
	}
	if len(message) < at+7 || message[at] != 0x80 || message[at+1] != 0x91 {
		return 0, nil, false
	}
	at += 2
	size := 0
	switch rest := message[at+1:]; message[at] {
	case 0xc4:
		size, at = int(rest[0]), at+2
	case 0xc5:
		size, at = int(binary.BigEndian.Uint16(rest)), at+3
	case 0xc6:
		size, at = int(binary.BigEndian.Uint32(rest)), at+5
	default:
		return 0, nil, false
	}
	if len(message)-at < size {
		return 0, nil, false
	}
	return request, message[at : at+size], true
}
