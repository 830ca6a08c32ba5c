//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/marge-go/marge/tensor"
)

// Precision is how matrices are multiplied. Everything else is computed in float32
// or float64.
type Precision int

// The precisions.
const (
	FP32 Precision = iota // as accurate as float32: each operand in two TF32 parts, on tensor cores
	TF32                  // operands rounded to TF32, sums in float32
	BF16                  // operands rounded to bfloat16, sums in float32; attention as in TF32
)

var precisions = []string{"fp32", "tf32", "bf16"}

// String returns the name of the precision: fp32, tf32 or bf16.
func (p Precision) String() string {
	if p < 0 || int(p) >= len(precisions) {
		return fmt.Sprintf("Precision(%d)", int(p))
	}
	return precisions[p]
}

// ParsePrecision returns the precision of a name.
func ParsePrecision(name string) (Precision, error) {
	for i, n := range precisions {
		if n == name {
			return Precision(i), nil
		}
	}
	return 0, fmt.Errorf("precision %q, want one of %v", name, precisions)
}

// Options say how New opens a card. The zero value is for the first card, in FP32.
type Options struct {
	Device    int // number of the card, from 0
	Precision Precision
	// CUBLAS is "" or "off" where this package computes all products, "on" or the
	// path of a libcublas.so where cuBLAS computes the large ones. Their bits are then
	// those of its version and of the card.
	CUBLAS string
}

func init() {
	tensor.Register("cuda", func() (tensor.Backend, error) {
		o, err := fromEnvironment()
		if err != nil {
			return nil, err
		}
		return New(o)
	})
}

// fromEnvironment returns the options that the environment gives.
func fromEnvironment() (o Options, err error) {
	if s := os.Getenv("MARGE_CUDA_DEVICE"); s != "" {
		if o.Device, err = strconv.Atoi(s); err != nil {
			return o, fmt.Errorf("MARGE_CUDA_DEVICE: %w", err)
		}
	}
	if s := os.Getenv("MARGE_CUDA_PRECISION"); s != "" {
		if o.Precision, err = ParsePrecision(s); err != nil {
			return o, fmt.Errorf("MARGE_CUDA_PRECISION: %w", err)
		}
	}
	o.CUBLAS = os.Getenv("MARGE_CUBLAS")
	return o, nil
}

// Backend is a tensor.Backend on one card. It is safe for concurrent use; its
// operations run one after the other.
//
// Each method is one critical section: it calls enter, and unexported functions
// that suppose that it did, but no other method.
type Backend struct {
	precision Precision
	syncEach  bool // wait after every kernel

	mu        sync.Mutex
	closed    bool
	broken    *Error // the failure after which the card refuses all work
	op        string // the method that runs
	kernel    string // its last kernel
	leaveFunc func() // leave, made once
	functions map[string]*function
	loaded    map[string]module
	slots     [maxParameters]uint64 // parameters of a launch

	cublas *cublas // nil: this package computes all products

	memory
}

// New opens a card.
func New(o Options) (*Backend, error) {
	if o.Precision < FP32 || o.Precision > BF16 {
		return nil, fmt.Errorf("gpu: %v", o.Precision)
	}
	if err := openLibrary(); err != nil {
		return nil, fmt.Errorf("gpu: %w", err)
	}
	c, err := openCard(o.Device)
	if err != nil {
		return nil, fmt.Errorf("gpu: %w", err)
	}
	b := &Backend{
		precision: o.Precision, syncEach: os.Getenv("MARGE_CUDA_SYNC") == "1",
		functions: map[string]*function{}, loaded: map[string]module{},
		memory: memory{card: c, live: map[devptr]int{}, garbage: new(garbage)},
	}
	b.leaveFunc = b.leave
	if o.CUBLAS != "" && o.CUBLAS != "off" {
		if err := b.openCUBLAS(o.CUBLAS); err != nil {
			return nil, errors.Join(fmt.Errorf("gpu: %w", err), b.Close())
		}
	}
	return b, nil
}

// Name returns "cuda".
func (b *Backend) Name() string { return "cuda" }

// Card returns the name of the card.
func (b *Backend) Card() string { return b.card.name }

// Close implements tensor.Backend: it waits for the card and frees its memory. The
// error is one of work that was still to do. Operations panic afterwards.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := asError(func() {
		b.card.setCurrent()
		b.card.synchronize()
		b.closeCUBLAS()
		b.freeAll()
	})
	if closing := b.card.close(); err == nil {
		err = closing
	}
	if err == nil || b.broken != nil { // which was reported
		return nil
	}
	return fmt.Errorf("gpu: close: %w", err)
}

// enter begins a method, which must not call another one that enters:
//
//	defer b.enter("Fill")()
//
// It returns leave, which turns failures of the driver into panics with a
// *tensor.BackendError.
func (b *Backend) enter(op string) func() {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		panic("gpu: backend used after Close")
	}
	if b.broken != nil {
		err := b.brokenError(op)
		b.mu.Unlock()
		panic(err)
	}
	runtime.LockOSThread()
	b.op, b.kernel = op, ""
	entered := false
	defer func() {
		if !entered {
			b.release(recover())
		}
	}()
	b.card.setCurrent()
	b.beginMethod()
	entered = true
	return b.leaveFunc
}

func (b *Backend) leave() { b.release(recover()) }

// release ends a method, which panicked unless panicked is nil.
func (b *Backend) release(panicked any) {
	if panicked != nil {
		panicked = b.failed(b.op, b.kernel, panicked)
	}
	b.endMethod()
	runtime.UnlockOSThread()
	b.mu.Unlock()
	if panicked != nil {
		panic(panicked)
	}
}
