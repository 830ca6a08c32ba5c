//go:build cuda

package gpu

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"regexp"
	"sync"
)

// The kernels, compiled by kernels/build.sh.
//
//go:embed kernels/*.ptx
var ptx embed.FS

var entry = regexp.MustCompile(`(?m)\.entry\s+(\w+)`)

// kernelFiles returns the file of each kernel.
var kernelFiles = sync.OnceValue(func() map[string]string {
	files := map[string]string{}
	paths, _ := fs.Glob(ptx, "kernels/*.ptx")
	for _, path := range paths {
		text, err := ptx.ReadFile(path)
		if err != nil {
			panic(err)
		}
		for _, match := range entry.FindAllSubmatch(text, -1) {
			name := string(match[1])
			if other, ok := files[name]; ok {
				panic(fmt.Sprintf("gpu: kernel %s is in %s and %s", name, other, path))
			}
			files[name] = path
		}
	}
	return files
})

// function returns a kernel, for which it may compile the file that has it.
func (b *Backend) function(kernel string) *function {
	if f := b.functions[kernel]; f != nil {
		return f
	}
	path, ok := kernelFiles()[kernel]
	if !ok {
		panic(fmt.Sprintf("gpu: no kernel %s", kernel))
	}
	m, ok := b.loaded[path]
	if !ok {
		text, err := ptx.ReadFile(path)
		if err != nil {
			panic(err)
		}
		m = b.card.loadModule(path, string(text))
		b.loaded[path] = m
	}
	f := m.function(kernel)
	b.functions[kernel] = f
	return f
}

// Limits of a grid's dimensions.
var maxGrid = [3]int{math.MaxInt32, math.MaxUint16, math.MaxUint16}

// launch starts a kernel on a grid of blocks of the given number of threads, with
// shared bytes of dynamic shared memory. Arguments are devptr, int (a long of the
// kernel), int32, uint32, uint64 and float32. With an empty grid it does nothing.
func (b *Backend) launch(kernel string, grid [3]int, block, shared int, args ...any) {
	for i, n := range grid {
		if n < 0 || n > maxGrid[i] {
			panic(fmt.Sprintf("gpu: %s: grid %v is too large", kernel, grid))
		}
	}
	if grid[0] == 0 || grid[1] == 0 || grid[2] == 0 {
		return
	}
	f := b.function(kernel)
	for i, arg := range args {
		switch v := arg.(type) {
		case devptr:
			b.slots[i] = uint64(v)
		case int:
			b.slots[i] = uint64(v)
		case uint64:
			b.slots[i] = v
		case int32:
			b.slots[i] = uint64(uint32(v))
		case uint32:
			b.slots[i] = uint64(v)
		case float32:
			b.slots[i] = uint64(math.Float32bits(v))
		default:
			// By its type alone: arguments that fmt might keep would all be allocated.
			panic(fmt.Sprintf("gpu: %s: argument %d is a %v", kernel, i, reflect.TypeOf(arg)))
		}
	}
	b.kernel = kernel
	b.card.launch(f, grid, block, shared, &b.slots, len(args))
	if b.syncEach {
		b.card.synchronize()
	}
}
