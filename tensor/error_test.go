package tensor

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestRecover(t *testing.T) {
	failure := &BackendError{Backend: "device", Op: "gemm", Err: io.ErrUnexpectedEOF}
	earlier := errors.New("an earlier error")
	call := func(before error, v any) (err error) {
		defer Recover(&err)
		err = before
		if v != nil {
			panic(v)
		}
		return err
	}
	if err := call(nil, nil); err != nil {
		t.Errorf("no panic: %v", err)
	}
	if err := call(earlier, nil); err != earlier {
		t.Errorf("no panic: %v", err)
	}
	for _, v := range []error{failure, fmt.Errorf("step 3: %w", failure)} {
		err := call(nil, v)
		if err != v || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v became %v", v, err)
		}
	}
	if got, want := failure.Error(), "tensor: backend device: gemm: unexpected EOF"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if err := call(earlier, failure); !errors.Is(err, earlier) || !errors.Is(err, failure) {
		t.Errorf("both errors became %v", err)
	}
	for _, v := range []any{"a shape does not fit", io.EOF, 7} {
		if got := panicOf(func() { call(nil, v) }); got != v {
			t.Errorf("panic %v became %v", v, got)
		}
	}
}

// A panic of a helper's thread keeps its type.
func TestRecoverFromHelper(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	failure := &BackendError{Backend: "device", Op: "fill", Err: io.EOF}
	run := func() (err error) {
		defer Recover(&err)
		other := make(chan bool)
		p.Run(2, taskFunc(func(part int) {
			if part == 1 { // the caller takes part 0 first, and waits there for this one
				defer close(other)
				panic(failure)
			}
			<-other
		}))
		return nil
	}
	if err := run(); err != failure {
		t.Errorf("error %v", err)
	}
}

// wrapped is a backend on another one, device one without threads of the host.
type (
	wrapped struct{ *CPU }
	device  struct{ Backend }
)

func TestHostRunner(t *testing.T) {
	c := NewCPU(3)
	defer c.Close()
	for _, b := range []Backend{c, wrapped{c}} {
		if r := HostRunner(b); r != asm.Runner(c.pool) {
			t.Errorf("%T: not the threads of its CPU", b)
		}
	}
	a, b := HostRunner(device{c}), HostRunner(device{NewCPU(1)})
	if a != b || a == asm.Runner(c.pool) {
		t.Errorf("backends without threads have %p and %p, want those of the process", a, b)
	}
	n := make([]int, 9)
	a.Run(len(n), taskFunc(func(part int) { n[part]++ }))
	for i, v := range n {
		if v != 1 {
			t.Errorf("part %d was done %d times", i, v)
		}
	}
}
