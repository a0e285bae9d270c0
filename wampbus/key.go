package wampbus

import (
	"context"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// key answers the receipt of the append that used a key of the caller's, as
// es.append answered it.
func (b *Bus) key(ctx context.Context, in *invocation) (answer, error) {
	key, err := in.earlierKey()
	if err != nil {
		return answer{}, err
	}
	keys, ok := b.options.Log.(event.KeyReader)
	if !ok {
		return answer{}, &event.UnknownError{Kind: "procedure", Name: "es.key"}
	}
	receipt, found, err := keys.AppendByKey(ctx, key)
	switch {
	case err != nil:
		return answer{}, err
	case !found:
		return answer{kwargs: wamp.Dict{"found": false}}, nil
	}
	facts := receiptFacts(receipt)
	facts["found"] = true
	return answer{kwargs: facts}, nil
}

// earlierKey reads the arguments of es.key: a key as the log knows it.
func (in *invocation) earlierKey() (string, error) {
	key, err := asText("key", in.next("key"))
	in.keep(err)
	if err := in.end(); err != nil {
		return "", err
	}
	if len(key) > event.MaxKey {
		return "", tooLarge("key in bytes", event.MaxKey, len(key))
	}
	return in.scopedKey(key)
}
