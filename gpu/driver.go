//go:build cuda

package gpu

// The driver. All calls of it are here: through package cu where that has them,
// whose functions panic with a cu.Result, and else through the shim.

/*
#cgo CFLAGS: -I${SRCDIR}/include
#cgo LDFLAGS: -L${SRCDIR}/lib -ldl
#include <cuda.h>
#include <stdlib.h>
#include "shim_cuda.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/mumax/3/cuda/cu"
)

// devptr is an address in the memory of the card.
type devptr uint64

// libraries are the places of libcuda: where the system looks, and where
// containers and WSL put it.
var libraries = []string{"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}

var openMu sync.Mutex

// openLibrary opens libcuda, unless it is open.
func openLibrary() error {
	openMu.Lock()
	defer openMu.Unlock()
	places := libraries
	if path := os.Getenv("MARGE_LIBCUDA"); path != "" {
		places = []string{path}
	}
	var first string
	for _, path := range places {
		name := C.CString(path)
		failure := C.marge_cuda_open(name)
		C.free(unsafe.Pointer(name))
		if failure == nil {
			return nil
		}
		if first == "" {
			first = C.GoString(failure)
		}
	}
	return fmt.Errorf("no NVIDIA driver: %s (install one, or set MARGE_LIBCUDA to the path of its library)", first)
}

// resultOf returns the code of a panic of package cu.
func resultOf(panicked any) (code int, ok bool) {
	r, ok := panicked.(cu.Result)
	return int(r), ok
}

// check panics as package cu does.
func check(r C.CUresult) {
	if r != C.CUDA_SUCCESS {
		panic(cu.Result(r))
	}
}

// describe returns the name and meaning of a code.
func describe(code int) string {
	name, text := "CUresult "+fmt.Sprint(code), ""
	var s *C.char
	if C.cuGetErrorName(C.CUresult(code), &s) == C.CUDA_SUCCESS && s != nil {
		name = fmt.Sprintf("%s (%d)", C.GoString(s), code)
	}
	if C.cuGetErrorString(C.CUresult(code), &s) == C.CUDA_SUCCESS && s != nil {
		text = ": " + C.GoString(s)
	}
	return name + text
}

// card is an open card.
type card struct {
	name     string
	capacity int // bytes of memory
	number   C.CUdevice
	context  cu.Context
	stream   C.CUstream
	modules  []C.CUmodule
}

// minDriver is the first driver that takes the kernels, in the form of cuDriverGetVersion.
const minDriver = 11000

// openCard opens the primary context of a card, which libraries share, and a stream
// that does not wait for the default one.
func openCard(number int) (c *card, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c = new(card)
	retained := false
	defer func() {
		if err != nil && retained {
			C.cuDevicePrimaryCtxRelease(c.number)
		}
	}()
	var refused error
	err = asError(func() {
		cu.Init(0)
		var version C.int
		check(C.cuDriverGetVersion(&version))
		if version < minDriver {
			refused = fmt.Errorf("the driver is for CUDA %d.%d, want 11.0 or later", version/1000, version%1000/10)
			return
		}
		count := cu.DeviceGetCount()
		if number < 0 || number >= count {
			refused = fmt.Errorf("no card %d, there are %d (CUDA_VISIBLE_DEVICES can hide some)", number, count)
			return
		}
		device := cu.DeviceGet(number)
		c.number, c.name, c.capacity = C.CUdevice(device), device.Name(), int(device.TotalMem())
		if major, minor := device.ComputeCapability(); major < 8 {
			refused = fmt.Errorf("card %d (%s) has compute capability %d.%d, want 8.0 or later", number, c.name, major, minor)
			return
		}
		var context C.CUcontext
		check(C.cuDevicePrimaryCtxRetain(&context, c.number))
		retained = true
		c.context = cu.Context(uintptr(unsafe.Pointer(context)))
		c.setCurrent()
		check(C.cuStreamCreate(&c.stream, C.CU_STREAM_NON_BLOCKING))
	})
	return c, errors.Join(err, refused)
}

// close frees what openCard and loadModule took. It goes on after errors, of which
// it returns the first.
func (c *card) close() error {
	results := []C.CUresult{}
	for _, m := range c.modules {
		results = append(results, C.cuModuleUnload(m))
	}
	results = append(results, C.cuStreamDestroy(c.stream), C.cuDevicePrimaryCtxRelease(c.number))
	for _, r := range results {
		if r != C.CUDA_SUCCESS {
			return &Error{Code: int(r), Text: describe(int(r))}
		}
	}
	return nil
}

// setCurrent makes the card that of the thread.
func (c *card) setCurrent() { c.context.SetCurrent() }

func (c *card) cuStream() cu.Stream { return cu.Stream(uintptr(unsafe.Pointer(c.stream))) }

// synchronize waits for all work.
func (c *card) synchronize() { c.cuStream().Synchronize() }

// memAlloc allocates memory, which holds anything. It returns 0 if there is too little.
func (c *card) memAlloc(bytes int) devptr {
	var p C.CUdeviceptr
	r := C.cuMemAlloc(&p, C.size_t(bytes))
	if r == C.CUDA_ERROR_OUT_OF_MEMORY {
		return 0
	}
	check(r)
	return devptr(p)
}

func (c *card) memFree(p devptr) { cu.MemFree(cu.DevicePtr(p)) }

func (c *card) memFreeBytes() int {
	free, _ := cu.MemGetInfo()
	return int(free)
}

// pinned allocates memory of the host that the card can read by itself.
func (c *card) pinned(bytes int) []byte {
	return unsafe.Slice((*byte)(cu.MemAllocHost(int64(bytes))), bytes)
}

func (c *card) freePinned(data []byte) { cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(data))) }

// copyIn copies pinned memory to the card, in the order of the stream.
func (c *card) copyIn(dst devptr, src []byte) {
	cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), c.cuStream())
}

// copyOut waits for all work and copies memory of the card to the host.
func (c *card) copyOut(dst []byte, src devptr) {
	var pin runtime.Pinner
	pin.Pin(unsafe.SliceData(dst))
	defer pin.Unpin()
	cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst)), c.cuStream())
	c.synchronize()
}

// clear sets memory to zero, in the order of the stream.
func (c *card) clear(dst devptr, bytes int) {
	cu.MemsetD8Async(cu.DevicePtr(dst), 0, int64(bytes), c.cuStream())
}

// event marks a place in the stream.
type event struct{ handle C.CUevent }

func (c *card) newEvent() (e event) {
	check(C.cuEventCreate(&e.handle, C.CU_EVENT_DISABLE_TIMING))
	return e
}

func (c *card) record(e event) { check(C.cuEventRecord(e.handle, c.stream)) }

// wait waits for the work before the event.
func (e event) wait() { check(C.cuEventSynchronize(e.handle)) }

func (e event) destroy() { check(C.cuEventDestroy(e.handle)) }

// module holds compiled kernels.
type module struct{ handle C.CUmodule }

// loadModule compiles PTX.
func (c *card) loadModule(name, ptx string) (m module) {
	source := C.CString(ptx)
	defer C.free(unsafe.Pointer(source))
	var log [4096]C.char
	r := C.marge_cuda_load(&m.handle, unsafe.Pointer(source), &log[0], C.size_t(len(log)))
	if r != C.CUDA_SUCCESS {
		text := fmt.Sprintf("%s: %s %s", name, describe(int(r)), C.GoString(&log[0]))
		panic(&Error{Code: int(r), Text: strings.TrimSpace(text)})
	}
	c.modules = append(c.modules, m.handle)
	return m
}

// function is a kernel.
type function struct {
	handle C.CUfunction
	shared int // bytes of dynamic shared memory that it may have
}

func (m module) function(name string) *function {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	f := &function{shared: 48 << 10}
	check(C.cuModuleGetFunction(&f.handle, m.handle, s))
	return f
}

// maxParameters is the greatest number of parameters of a kernel.
const maxParameters = C.MARGE_CUDA_PARAMETERS

// launch starts a kernel, in the order of the stream, with a number of parameters. It does so in one call of C:
// cu.LaunchKernel takes five.
func (c *card) launch(f *function, grid [3]int, block, shared int, slots *[maxParameters]uint64, parameters int) {
	if shared > f.shared {
		check(C.cuFuncSetAttribute(f.handle, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(shared)))
		f.shared = shared
	}
	check(C.marge_cuda_launch(f.handle, C.uint(grid[0]), C.uint(grid[1]), C.uint(grid[2]), C.uint(block), C.uint(shared),
		c.stream, (*C.ulonglong)(&slots[0]), C.int(parameters)))
}
