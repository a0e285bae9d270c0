package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type jetStream struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
}

func openJetStream(dir string) (store, error) {
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("JetStream does not get ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	_, err = js.CreateStream(context.Background(), jetstream.StreamConfig{
		Name: "events", Subjects: []string{"events.>"}, Storage: jetstream.FileStorage,
	})
	return &jetStream{s, conn, js}, err
}

func (j *jetStream) append(p post) error {
	_, err := j.js.Publish(context.Background(), "events."+p.stream, p.payload)
	return err
}

func (*jetStream) drain() error { return nil }

func (j *jetStream) Close() error {
	j.conn.Close()
	j.server.Shutdown()
	j.server.WaitForShutdown()
	return nil
}
