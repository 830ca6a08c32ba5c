// Package safetensors reads and writes the safetensors file format: a length,
// a JSON header that names the tensors, and their elements in little-endian
// order (https://huggingface.co/docs/safetensors).
//
// Open maps a file into memory and checks the whole header before it returns,
// so that a tensor handed out always lies inside the file. Write streams the
// tensors without a copy of them.
package safetensors

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unsafe"
)

// DType is the element type of a tensor, by its name in the header.
type DType string

// The element types that this package knows. Files may have tensors of other
// types, such as F4 or C64, whose Data it does not interpret.
const (
	F64    DType = "F64"
	F32    DType = "F32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	I64    DType = "I64"
	I32    DType = "I32"
	I16    DType = "I16"
	I8     DType = "I8"
	U64    DType = "U64"
	U32    DType = "U32"
	U16    DType = "U16"
	U8     DType = "U8"
	Bool   DType = "BOOL"
)

// Size returns the bytes of one element, or 0 for a type that this package
// does not know.
func (d DType) Size() int {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case F8E4M3, F8E5M2, I8, U8, Bool:
		return 1
	}
	return 0
}

// A Tensor is a named array. Data holds its elements in row-major order and
// little-endian byte order; its length is DType.Size() times the product of
// Shape, if this package knows the type. An empty Shape is a scalar.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// Float32 returns a tensor of type F32 over data, which it shares on
// little-endian machines.
func Float32(name string, shape []int, data []float32) Tensor {
	return Tensor{name, F32, shape, littleEndian(data)}
}

// BFloat16 returns a tensor of type BF16 over data, the upper halves of
// float32 values, which it shares on little-endian machines.
func BFloat16(name string, shape []int, data []uint16) Tensor {
	return Tensor{name, BF16, shape, littleEndian(data)}
}

// Int32 returns a tensor of type I32 over data, which it shares on
// little-endian machines.
func Int32(name string, shape []int, data []int32) Tensor {
	return Tensor{name, I32, shape, littleEndian(data)}
}

// Int64 returns a tensor of type I64 over data, which it shares on
// little-endian machines.
func Int64(name string, shape []int, data []int64) Tensor {
	return Tensor{name, I64, shape, littleEndian(data)}
}

// Uint8 returns a tensor of type U8 over data, which it shares.
func Uint8(name string, shape []int, data []uint8) Tensor {
	return Tensor{name, U8, shape, data}
}

// Int8 returns a tensor of type I8 over data, which it shares.
func Int8(name string, shape []int, data []int8) Tensor {
	return Tensor{name, I8, shape, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), len(data))}
}

// Int8s returns the elements of a tensor of type I8, shared with t.Data.
func (t Tensor) Int8s() ([]int8, error) {
	if t.DType != I8 {
		return nil, t.typeError("I8")
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(t.Data))), len(t.Data)), nil
}

// Int32s returns the elements of a tensor of type I32, shared with t.Data or
// copied as Float32s describes.
func (t Tensor) Int32s() ([]int32, error) {
	if t.DType != I32 {
		return nil, t.typeError("I32")
	}
	return elements[int32](t), nil
}

// Int64s returns the elements of a tensor of type I64, shared with t.Data or
// copied as Float32s describes.
func (t Tensor) Int64s() ([]int64, error) {
	if t.DType != I64 {
		return nil, t.typeError("I64")
	}
	return elements[int64](t), nil
}

func (t Tensor) typeError(want string) error {
	return fmt.Errorf("tensor %q has type %s, want %s", t.Name, t.DType, want)
}

// byteSize returns the length that Data must have for the tensor's type and
// shape.
func (t Tensor) byteSize() (int, error) {
	size := uint64(t.DType.Size())
	if size == 0 {
		return 0, fmt.Errorf("unknown type %q", t.DType)
	}
	for _, n := range t.Shape {
		if n < 0 {
			return 0, fmt.Errorf("shape %s has a negative dimension", shapeString(t.Shape))
		}
		hi, lo := bits.Mul64(size, uint64(n))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("shape %s of %s overflows", shapeString(t.Shape), t.DType)
		}
		size = lo
	}
	return int(size), nil
}

// shapeString formats a shape for an error; hostile ones may have millions of
// dimensions.
func shapeString(shape []int) string {
	const most = 16
	if len(shape) <= most {
		return fmt.Sprint(shape)
	}
	return fmt.Sprintf("%s ... and %d more]", strings.TrimSuffix(fmt.Sprint(shape[:most]), "]"), len(shape)-most)
}

var hostIsLittleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

type number interface {
	uint8 | uint16 | int32 | int64 | float32 | float64
}

// littleEndian returns the bytes of data, shared with it where the machine's
// byte order allows.
func littleEndian[T number](data []T) []byte {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), len(data)*int(unsafe.Sizeof(*new(T))))
	if !hostIsLittleEndian {
		b = slices.Clone(b)
		reverseElements(b, int(unsafe.Sizeof(*new(T))))
	}
	return b
}

// elements returns t.Data as values of T, shared with it where alignment and
// byte order allow.
func elements[T number](t Tensor) []T {
	size := int(unsafe.Sizeof(*new(T)))
	n := len(t.Data) / size
	p := unsafe.Pointer(unsafe.SliceData(t.Data))
	if hostIsLittleEndian && uintptr(p)%uintptr(size) == 0 {
		return unsafe.Slice((*T)(p), n)
	}
	out := make([]T, n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(out))), n*size)
	copy(b, t.Data)
	if !hostIsLittleEndian {
		reverseElements(b, size)
	}
	return out
}

func reverseElements(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		slices.Reverse(b[:size])
	}
}
