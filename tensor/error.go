package tensor

import (
	"errors"
	"fmt"
)

// BackendError is what a method of a Backend panics with when its device fails.
// Methods return no errors, since a training step calls thousands of them;
// Recover turns the panic into an error.
type BackendError struct {
	Backend string // its name
	Op      string // the operation, such as "attention"; asynchronous work may have failed before it
	Err     error
}

// Error implements error.
func (e *BackendError) Error() string {
	return fmt.Sprintf("tensor: backend %s: %s: %v", e.Backend, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *BackendError) Unwrap() error { return e.Err }

// Recover is for functions that return errors and use a backend:
//
//	defer tensor.Recover(&err)
//
// It turns a panic with a *BackendError, or with an error that wraps one, into
// *err, joined with an error that is already there. All other panics go on.
func Recover(err *error) {
	v := recover()
	if v == nil {
		return
	}
	failure, ok := v.(error)
	if be := (*BackendError)(nil); !ok || !errors.As(failure, &be) {
		panic(v)
	}
	if *err == nil {
		*err = failure
	} else {
		*err = errors.Join(*err, failure)
	}
}
