package projection

import (
	"errors"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// storing is a transaction under way on a goroutine of its own, so that builds
// are folded meanwhile. There is at most one, and the follower concludes it before
// it writes anything else, starts anything over, or decides by what is stored.
type storing struct {
	done chan struct{} // closed when what follows is known
	err  error
	took time.Duration
	then func(*storing) error
}

// errStartedOver means that the builds are where their checkpoints are, and that
// what the follower was about to do is to be looked at again.
var errStartedOver = errors.New("the views were started over")

// write runs work in a transaction. When that has ended, the follower calls then
// as it concludes it.
func (e *Engine) write(work func(txn *lmdbenv.Txn) error, then func(*storing) error) {
	s := &storing{done: make(chan struct{}), then: then}
	e.storing = s
	go func() {
		began := time.Now()
		s.err = e.env.Update(work)
		s.took = time.Since(began)
		close(s.done)
	}()
}

// conclude waits for what is being stored.
func (e *Engine) conclude() error {
	s := e.storing
	if s == nil {
		return nil
	}
	<-s.done
	e.storing = nil
	return s.then(s)
}

// storeEnds is closed when there is something to conclude without waiting.
func (e *Engine) storeEnds() <-chan struct{} {
	if e.storing == nil {
		return nil
	}
	return e.storing.done
}

func (e *Engine) isStoring() bool {
	select {
	case <-e.storeEnds():
		return false
	default:
		return e.storing != nil
	}
}
