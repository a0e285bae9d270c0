package projection

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Other processes ask the engine for something by an entry in the catalog,
// "request/<number>", and find what became of it under "answer/<number>". The
// numbers have 20 digits and come from a counter, so requests are served in the
// order in which they were made. The engine looks once a second, and also serves
// what was asked before it was opened. It does what is asked, or starts it, and
// replaces the request by its answer in one transaction: a request is served
// once, whenever the process is killed.
const (
	askedKey      = "asked"
	requestPrefix = "request/"
	answerPrefix  = "answer/"
	// answersKept is how long answers are kept for those who asked.
	answersKept = time.Hour
)

// Ask is what can be asked of the engine from outside its process, see
// [Directory.Ask].
type Ask struct {
	// Action is "rebuild", "resume", "skip", "switch" or "drop": see the
	// engine's method of that name.
	Action string `json:"action"`
	View   string `json:"view"`
	// Version is needed for "switch" and "drop"; otherwise "" is the version
	// that serves.
	Version string `json:"version,omitempty"`
	// Position is that of the event to skip.
	Position uint64 `json:"position,omitempty"`
}

// answer is what became of a request: done, or started, unless Error says why
// not.
type answer struct {
	Error string    `json:"error,omitempty"`
	Time  time.Time `json:"time"`
}

func (a *Ask) validate() error {
	switch action(a.Action) {
	case actionRebuild, actionResume, actionSkip:
	case actionSwitch, actionDrop:
		if a.Version == "" {
			return &event.ArgumentError{Argument: "version", Message: fmt.Sprintf("%s needs one", a.Action)}
		}
	default:
		return &event.ArgumentError{Argument: "action", Message: fmt.Sprintf("%q is unknown", a.Action)}
	}
	if a.View == "" || strings.ContainsAny(a.View+a.Version, "/@\x00") {
		return &event.ArgumentError{Argument: "view", Message: fmt.Sprintf("%q is no name of a view, or %q none of a version", a.View, a.Version)}
	}
	return nil
}

// readInbox serves what other processes have asked for.
func (e *Engine) readInbox() error {
	type asked struct {
		id   string
		what Ask
		err  error
	}
	var inbox []asked
	err := e.env.View(func(txn *lmdbenv.Txn) error {
		return e.catalog.scan(txn, requestPrefix, func(id string, value []byte) error {
			a := asked{id: id}
			if a.err = json.Unmarshal(value, &a.what); a.err == nil {
				a.err = a.what.validate()
			}
			inbox = append(inbox, a)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, a := range inbox {
		if err := e.flush(); err != nil {
			return err
		}
		refused, trouble := a.err, error(nil)
		if refused == nil {
			refused, trouble = e.serveAsk(a.id, a.what)
		}
		e.logger.Info("a request of another process was served", "action", a.what.Action, "view", a.what.View, "version", a.what.Version, "refused", refused, "error", trouble)
		// Also in trouble: the request would only cause it again.
		err := e.env.Update(func(txn *lmdbenv.Txn) error { return e.catalog.answer(txn, a.id, cmp.Or(refused, trouble)) })
		if err := errors.Join(trouble, err); err != nil {
			return err
		}
	}
	return nil
}

// serveAsk does what was asked for, or starts it.
func (e *Engine) serveAsk(id string, a Ask) (refused, err error) {
	reference := a.View
	if a.Version != "" {
		reference += "@" + a.Version
	}
	r := request{id: id, action: action(a.Action), position: a.Position, done: make(chan error, 1)}
	if r.view, refused = e.find(reference); refused != nil {
		if r.action != actionDrop {
			return refused, nil
		}
		r.view = undefined(a.View, a.Version)
	}
	if err := e.serve(r); err != nil {
		return nil, err
	}
	select {
	case refused := <-r.done:
		return refused, nil
	default:
		return nil, nil // started
	}
}

// ask enters a request and returns its id.
func (c catalog) ask(txn *lmdbenv.Txn, what Ask) (id string, err error) {
	value, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	last, found, err := getKey(txn, c.db, []byte(askedKey))
	if err != nil {
		return "", err
	}
	number := uint64(1)
	if found && len(last) == 8 {
		number += binary.BigEndian.Uint64(last)
	}
	if err := txn.Put(c.db, []byte(askedKey), binary.BigEndian.AppendUint64(nil, number), 0); err != nil {
		return "", err
	}
	id = fmt.Sprintf("%020d", number)
	return id, txn.Put(c.db, []byte(requestPrefix+id), value, 0)
}

// answer replaces a request by what became of it, and forgets old answers. One
// that was answered keeps its answer.
func (c catalog) answer(txn *lmdbenv.Txn, id string, refused error) error {
	if err := txn.Del(c.db, []byte(requestPrefix+id), nil); lmdbenv.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	a := answer{Time: time.Now().UTC()}
	if refused != nil {
		a.Error = refused.Error()
	}
	value, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := c.forgetAnswers(txn, a.Time.Add(-answersKept)); err != nil {
		return err
	}
	return txn.Put(c.db, []byte(answerPrefix+id), value, 0)
}

func (c catalog) forgetAnswers(txn *lmdbenv.Txn, before time.Time) error {
	var ids []string
	if err := c.scan(txn, answerPrefix, func(id string, value []byte) error {
		var a answer
		if json.Unmarshal(value, &a) != nil || a.Time.Before(before) {
			ids = append(ids, id)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := txn.Del(c.db, []byte(answerPrefix+id), nil); err != nil {
			return err
		}
	}
	return nil
}
