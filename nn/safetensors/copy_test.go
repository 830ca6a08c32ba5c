package safetensors

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// CopyFloat32s gives what Float32s gives, also where it takes several blocks.
func TestCopyFloat32s(t *testing.T) {
	values := make([]float32, 2*copyBytes/4+77)
	halves := make([]uint16, len(values))
	for i := range values {
		values[i], halves[i] = float32(i), uint16(i%30000)
	}
	half := BFloat16("half", []int{len(halves)}, halves)
	half.DType = F16
	var b bytes.Buffer
	err := Write(&b, []Tensor{
		Float32("f32", []int{7, len(values) / 7}, values[:len(values)/7*7]),
		BFloat16("bf16", []int{len(halves)}, halves), half,
		Float32("none", []int{0, 3}, nil), Int32("ids", []int{1}, []int32{1}),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, writeFile(t, b.Bytes()))
	for _, name := range []string{"f32", "bf16", "half", "none"} {
		want, err := f.Float32s(name)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(want))
		if err := f.CopyFloat32s(got, name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d values that differ, error %v", name, len(got), err)
		}
		if err := f.CopyFloat32s(make([]float32, len(want)+1), name); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("%q has shape", name)) || !strings.Contains(err.Error(), f.path) {
			t.Errorf("%s: copied to one number more: %v", name, err)
		}
	}
	for name, want := range map[string]string{"ids": "has type I32", "other": "no tensor"} {
		if err := f.CopyFloat32s(make([]float32, 1), name); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), f.path) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestInt8(t *testing.T) {
	values := []int8{0, 1, -1, 127, -128, 5}
	var b bytes.Buffer
	if err := Write(&b, []Tensor{Int8("q", []int{2, 3}, values), Int32("ids", []int{1}, []int32{1})}, nil); err != nil {
		t.Fatal(err)
	}
	f := open(t, writeFile(t, b.Bytes()))
	q, _ := f.Tensor("q")
	if got, err := q.Int8s(); err != nil || !slices.Equal(got, values) || q.DType != I8 {
		t.Errorf("%v of type %s, error %v", got, q.DType, err)
	}
	ids, _ := f.Tensor("ids")
	if _, err := ids.Int8s(); err == nil || !strings.Contains(err.Error(), `tensor "ids" has type I32, want I8`) {
		t.Errorf("error %v", err)
	}
}
