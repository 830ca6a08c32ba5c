//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

func TestBackend(t *testing.T) {
	backendtest.Run(t, func() (tensor.Backend, error) { return New(Options{}) }, backendtest.Float32)
}

// failure returns the error of the backend that f panics with.
func failure(t *testing.T, f func()) (err error) {
	t.Helper()
	defer tensor.Recover(&err)
	f()
	return nil
}

// panics returns what f panics with, as text.
func panics(f func()) (text string) {
	defer func() {
		switch v := recover().(type) {
		case string:
			text = v
		case error:
			text = v.Error()
		}
	}()
	f()
	return ""
}

// alone runs a test in a process of its own, with more in its environment, and
// reports whether this is that process.
func alone(t *testing.T, environment ...string) bool {
	t.Helper()
	if os.Getenv("MARGE_TEST_ALONE") == t.Name() {
		return true
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(append(os.Environ(), "MARGE_CUDA_EMULATE=", "MARGE_TEST_ALONE="+t.Name()), environment...)
	out, err := c.CombinedOutput()
	if err == nil && strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skipf("%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A process opens its library once, so that another one must find none.
func TestNoDriver(t *testing.T) {
	if !alone(t, "MARGE_LIBCUDA=/nowhere/libcuda.so") {
		return
	}
	_, err := tensor.Open("cuda")
	if err == nil || !strings.Contains(err.Error(), "no NVIDIA driver: /nowhere/libcuda.so") {
		t.Errorf("error %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Device: -1}, {Device: 1000}, {Precision: -1}, {Precision: 3}, {CUBLAS: "/no/library"}} {
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "gpu: ") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
	for _, c := range []struct {
		device, precision, cublas, want string
		options                         Options
	}{
		{"", "", "", "", Options{}},
		{"2", "tf32", "on", "", Options{Device: 2, Precision: TF32, CUBLAS: "on"}},
		{"0", "bf16", "", "", Options{Precision: BF16}},
		{"x", "", "", "MARGE_CUDA_DEVICE", Options{}},
		{"", "fp64", "", `MARGE_CUDA_PRECISION: precision "fp64", want one of [fp32 tf32 bf16]`, Options{}},
	} {
		t.Setenv("MARGE_CUDA_DEVICE", c.device)
		t.Setenv("MARGE_CUDA_PRECISION", c.precision)
		t.Setenv("MARGE_CUBLAS", c.cublas)
		o, err := fromEnvironment()
		if c.want == "" && (err != nil || o != c.options) {
			t.Errorf("%+v: %+v, error %v", c, o, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

func TestRegistered(t *testing.T) {
	t.Setenv("MARGE_CUDA_DEVICE", "")
	t.Setenv("MARGE_CUDA_PRECISION", "")
	b, err := tensor.Open("cuda")
	if err != nil {
		t.Fatal(err)
	}
	if b.Name() != "cuda" || b.(*Backend).Card() == "" {
		t.Errorf("%s on %q", b.Name(), b.(*Backend).Card())
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	b := open(t)
	x := tensor.New(b, tensor.Float32, 4)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, f := range map[string]func(){
		"fill": func() { b.Fill(x, 1) }, "new": func() { tensor.New(b, tensor.Float32, 4) }, "item": func() { values(x) },
	} {
		if got := panics(f); !strings.Contains(got, "after Close") {
			t.Errorf("%s: panic %q", name, got)
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	b := open(t)
	x := tensor.FromSlice(b, []float32{1, 2}, 2)
	err := failure(t, func() { tensor.New(b, tensor.Float32, 1<<40) })
	var e *Error
	const want = "backend cuda: newstorage: out of memory"
	if !errors.As(err, &e) || e.Code != OutOfMemory || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	err = failure(t, func() {
		defer b.enter("Scratch")()
		b.fill(x, 1)
		b.scratch(1 << 42)
	})
	if !errors.As(err, &e) || e.Code != OutOfMemory || e.Kernel != "" { // which no kernel caused
		t.Errorf("scratch memory: error %v", err)
	}
	x.SetFloat32s([]float32{1, 2})
	b.Scale(x, 2, x)
	if got := values(x); !slices.Equal(got, []float32{2, 4}) {
		t.Errorf("afterwards: %v", got)
	}
}

// Memory that the program dropped is used again, at the latest when there is too little.
func TestDroppedMemory(t *testing.T) {
	b := open(t)
	before := len(b.live)
	for range 8 {
		tensor.New(b, tensor.Float32, 1000)
	}
	if n := len(b.live); n != before+8 {
		t.Errorf("%d allocations, want %d", n, before+8)
	}
	collect()
	kept := tensor.New(b, tensor.Float32, 1000)
	if n := len(b.live); n > before+2 { // one more may be in a register
		t.Errorf("%d allocations after all but one were dropped, want %d", n, before+1)
	}
	runtime.KeepAlive(kept)
}

// After a fault in a kernel everything fails, with the first error, for the rest of the process.
func TestFault(t *testing.T) {
	if !alone(t) {
		return
	}
	b := open(t)
	x := tensor.New(b, tensor.Float32, 4)
	var first, second *Error
	err := failure(t, func() {
		func() {
			defer b.enter("Fill")()
			b.launch("fill", [3]int{1, 1, 1}, 256, 0, devptr(1<<20), float32(1), 4)
		}()
		values(x)
	})
	if !errors.As(err, &first) || first.Code < 700 || !strings.Contains(err.Error(), "tensor: backend cuda: ") {
		t.Fatalf("error %v", err)
	}
	err = failure(t, func() { b.Fill(x, 1) })
	const refused = "backend cuda: fill: the card refuses"
	if !errors.As(err, &second) || second != first || !strings.Contains(err.Error(), refused) {
		t.Errorf("later error %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := New(Options{}); !errors.As(err, &second) || second.Code != first.Code {
		t.Errorf("another backend: error %v", err)
	}
}

// With MARGE_CUDA_SYNC=1 an error comes with its kernel.
func TestSync(t *testing.T) {
	if !alone(t, "MARGE_CUDA_SYNC=1") {
		return
	}
	b := open(t)
	err := failure(t, func() {
		defer b.enter("Add")()
		b.launch("fill", [3]int{1, 1, 1}, 256, 0, devptr(1<<20), float32(1), 4)
	})
	const op, kernel = "backend cuda: add: ", "kernel fill"
	if err == nil || !strings.Contains(err.Error(), op) || !strings.Contains(err.Error(), kernel) {
		t.Errorf("error %v", err)
	}
}

func TestLaunch(t *testing.T) {
	b := open(t)
	defer b.enter("Launch")()
	for want, f := range map[string]func(){
		"no kernel nothing":       func() { b.launch("nothing", [3]int{1, 1, 1}, 1, 0) },
		"fill: argument 1 is a b": func() { b.launch("fill", [3]int{1, 1, 1}, 1, 0, devptr(0), true) },
		"fill: grid [1 65536 1]":  func() { b.launch("fill", [3]int{1, 65536, 1}, 1, 0, devptr(0), float32(0), 0) },
	} {
		if got := panics(f); !strings.Contains(got, want) {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
	b.launch("fill", [3]int{0, 1, 1}, 256, 0, devptr(1), float32(1), 1) // does nothing
}

func TestForeignTensors(t *testing.T) {
	b, other := open(t), open(t)
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	x := tensor.New(b, tensor.Float32, 4)
	for _, y := range []*tensor.Tensor{tensor.New(other, tensor.Float32, 4), tensor.New(cpu, tensor.Float32, 4)} {
		if got := panics(func() { b.Add(x, x, y) }); !strings.Contains(got, "not on this backend") {
			t.Errorf("panic %q", got)
		}
	}
	b.Fill(x, float32(math.Pi)) // it can still be used
}

// Goroutines share a backend, on whatever threads they run.
func TestConcurrentUse(t *testing.T) {
	b := open(t)
	done := make(chan error)
	for i := range 4 {
		go func() {
			sum, one := tensor.New(b, tensor.Float32, 100), tensor.New(b, tensor.Float32, 100)
			b.Fill(one, float32(i))
			for range 50 {
				b.Add(sum, sum, one)
			}
			var err error
			if got := values(sum); got[0] != float32(50*i) || got[99] != got[0] {
				err = fmt.Errorf("goroutine %d: %v ... %v", i, got[0], got[99])
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
