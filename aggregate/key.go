package aggregate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/verbatim-es/verbatim/event"
)

// commandMetadata is the metadata key under which the first event of a command
// with an idempotency key names the command, so that a repetition can be told
// from another command with the same key, for as long as the log exists.
const commandMetadata = "es.command"

// fingerprint identifies a command: the first half of the sha-256 over type,
// aggregate and bytes, in hexadecimal.
func fingerprint(command, id string, data []byte) string {
	hash := sha256.New()
	for _, part := range []string{command, "\x00", id, "\x00"} {
		hash.Write([]byte(part))
	}
	hash.Write(data)
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func markCommand(p *event.Proposed, fingerprint string) {
	p.Metadata = append(p.Metadata[:len(p.Metadata):len(p.Metadata)], event.Meta{Key: commandMetadata, Value: fingerprint})
}

// repeated finds the receipt of an earlier command with that key. It must be
// asked before deciding: the state has moved on, and the command might now be
// rejected. A log that can't tell leaves it to the append, which then compares
// the decided events instead of the commands.
func (h *Handler[S]) repeated(ctx context.Context, id, key, fingerprint string) (Receipt, bool, error) {
	keys, ok := h.log.(event.KeyReader)
	if !ok {
		return Receipt{}, false, nil
	}
	first, found, err := keys.AppendByKey(ctx, key)
	if !found || err != nil {
		return Receipt{}, false, err
	}
	receipt := Receipt{Position: first.Last, Count: int(first.Last - first.First + 1), Repeated: true}
	stream, same := h.stream(id), false
	for e, err := range event.Read(ctx, h.log, event.Selection{After: first.First - 1, Limit: receipt.Count}) {
		if err != nil {
			return Receipt{}, false, err
		}
		if e.Position() == first.First {
			by, _ := e.MetadataValue(commandMetadata)
			same = by == fingerprint
		}
		if e.Stream() == stream {
			receipt.Version = e.Version()
		}
	}
	if !same {
		return Receipt{}, false, &event.KeyReusedError{Key: key, Position: first.First}
	}
	return receipt, true, nil
}

// resolveKey is for the loser of two racing commands with one key: the append
// saw other events, but it may have been the same command.
func (h *Handler[S]) resolveKey(ctx context.Context, id, key, fingerprint string, reused error) (Receipt, error) {
	receipt, found, err := h.repeated(ctx, id, key, fingerprint)
	if !found && err == nil {
		err = reused
	}
	return receipt, err
}
