package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// umaDB is UmaDB's own server (cargo install umadb) as a process beside ours,
// called over the loopback interface. It has no streams: an event's stream is a
// tag, and the condition is that nothing with that tag came since the last one.
type umaDB struct {
	server *exec.Cmd
	conn   *grpc.ClientConn
	last   sync.Map // stream to position of its last event
}

func openUmaDB(dir string) (store, error) {
	program, err := exec.LookPath("umadb")
	if err != nil {
		return nil, fmt.Errorf("%w: cargo install umadb puts it there", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	u := &umaDB{server: exec.Command(program, "--listen", address, "--db-path", filepath.Join(dir, "uma.db"))}
	if err := u.server.Start(); err != nil {
		return nil, err
	}
	u.conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(bare{}), grpc.WaitForReady(true)))
	return u, err
}

func (u *umaDB) append(p post) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var response []byte
	if err := u.conn.Invoke(ctx, "/umadb.v1.DCB/Append", u.request(p), &response); err != nil {
		return err
	}
	_, _, n := protowire.ConsumeTag(response)
	position, m := protowire.ConsumeVarint(response[max(n, 0):])
	if n < 0 || m < 0 {
		return errors.New("UmaDB's answer has no position")
	}
	u.last.Store(p.stream, position)
	return nil
}

// request is an AppendRequest of umadb.v1: events = 1, condition = 2.
func (u *umaDB) request(p post) []byte {
	var event, item, query, condition []byte
	event = appendField(event, 1, "Posted") // event_type
	event = appendField(event, 2, "stream:"+p.stream)
	event = appendField(event, 2, "account:"+p.account)
	event = appendField(event, 3, string(p.payload))
	item = appendField(item, 2, "stream:"+p.stream)
	query = appendField(query, 1, string(item))
	condition = appendField(condition, 1, string(query))
	if after, ok := u.last.Load(p.stream); ok {
		condition = protowire.AppendTag(condition, 2, protowire.VarintType)
		condition = protowire.AppendVarint(condition, after.(uint64))
	}
	return appendField(appendField(nil, 1, string(event)), 2, string(condition))
}

func appendField(b []byte, number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), value)
}

func (*umaDB) drain() error { return nil }

func (u *umaDB) Close() error {
	err := errors.Join(u.conn.Close(), u.server.Process.Kill())
	_ = u.server.Wait() // it says that it was killed
	return err
}

// bare is a codec for messages that are encoded already.
type bare struct{}

func (bare) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (bare) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (bare) Name() string { return "proto" }
