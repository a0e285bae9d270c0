package projection

// failpoint is a place where the tests let a process die, or a batch fail.
type failpoint int

const (
	// beforeStore is reached on the follower's goroutine, with all that is to
	// be stored in memory.
	beforeStore failpoint = iota + 1
	// afterRows and afterIndexes are reached once for every build that a
	// transaction writes.
	afterRows
	afterIndexes
	// beforeCommit is reached with the checkpoints written, afterCommit before
	// anybody in the process knows.
	beforeCommit
	afterCommit
	// beforeSwitch and beforeTakeOver are reached inside the transactions of a
	// switch and of a build that becomes live.
	beforeSwitch
	beforeTakeOver
	// afterRequest is reached behind the transaction of a request, before
	// anybody in the process knows.
	afterRequest
)

// at reports the error that the tests want at a failpoint.
func (e *Engine) at(point failpoint) error {
	if e.options.failpoint == nil {
		return nil
	}
	return e.options.failpoint(point)
}
