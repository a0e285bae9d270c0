package aggregate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/event"
)

// commandMetadata is the metadata key under which the first event of a command
// with an idempotency key names the command, so that a repetition can be told
// from another command with the same key, for as long as the log knows the key.
const commandMetadata = "es.command"

// fingerprint identifies a command: the first half of the sha-256 over type,
// aggregate and bytes, in hexadecimal. Several commands are preceded by their
// number, and each by the length of its bytes.
func (r *request[S]) fingerprint() string {
	hash := sha256.New()
	if len(r.commands) != 1 {
		fmt.Fprintf(hash, "%d\x00", len(r.commands))
	}
	for _, c := range r.commands {
		if len(r.commands) != 1 {
			fmt.Fprintf(hash, "%d\x00", len(c.Data))
		}
		fmt.Fprintf(hash, "%s\x00%s\x00", c.Type, r.own.id)
		hash.Write(c.Data)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func markCommand(p *event.Proposed, fingerprint string) {
	p.Metadata = append(p.Metadata[:len(p.Metadata):len(p.Metadata)], event.Meta{Key: commandMetadata, Value: fingerprint})
}

// repeated finds the receipt of the same command sent before with that key. It
// must be asked before deciding: the state has moved on, and the command might
// now be rejected. A log that can't tell leaves it to the append, which then
// compares the decided events instead of the commands.
func (h *Handler[S]) repeated(ctx context.Context, r *request[S]) (Receipt, bool, error) {
	if r.key == "" {
		return Receipt{}, false, nil
	}
	keys, ok := h.log.(event.KeyReader)
	if !ok {
		return Receipt{}, false, nil
	}
	first, found, err := keys.AppendByKey(ctx, r.key)
	var unknown *event.UnknownError
	if errors.As(err, &unknown) && unknown.Kind == "procedure" {
		return Receipt{}, false, nil // a bus before a log that can't tell
	}
	if !found || err != nil {
		return Receipt{}, false, err
	}
	receipt, by, err := h.receiptOf(ctx, r.own.stream, first)
	if err == nil && by != r.fingerprint() {
		err = &event.KeyReusedError{Key: r.key, Position: first.First}
	}
	if err != nil {
		return Receipt{}, true, err
	}
	return receipt, true, nil
}

// receiptOf makes the receipt of an earlier command from its events, and
// returns which command it says it was.
func (h *Handler[S]) receiptOf(ctx context.Context, stream string, first event.Receipt) (r Receipt, fingerprint string, err error) {
	r = Receipt{Position: first.Last, Count: int(first.Last - first.First + 1), Repeated: true}
	for e, err := range event.Read(ctx, h.log, event.Selection{After: first.First - 1, Limit: r.Count}) {
		if err != nil {
			return Receipt{}, "", err
		}
		if e.Position() == first.First {
			fingerprint, _ = e.MetadataValue(commandMetadata)
			fingerprint = strings.Clone(fingerprint)
		}
		if e.Stream() == stream {
			r.Version = e.Version()
		}
	}
	if r.Version == 0 {
		r.Version, err = h.versionBefore(ctx, stream, first.First)
	}
	return r, fingerprint, err
}

// versionBefore is the version that a stream had before a position: that of an
// aggregate whose command emitted events for others alone.
func (h *Handler[S]) versionBefore(ctx context.Context, stream string, position uint64) (version uint64, err error) {
	for e, err := range event.Read(ctx, h.log, event.Selection{Stream: stream, After: position, Backward: true, Limit: 1}) {
		if err != nil {
			return 0, err
		}
		version = e.Version()
	}
	return version, nil
}
