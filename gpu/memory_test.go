//go:build cuda

package gpu

import (
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Data of more than all staging memory arrives as it was when Upload was called.
func TestUploads(t *testing.T) {
	b := open(t)
	n := 5*stagingSize/4 + 3
	data := make([]float32, n)
	x := tensor.New(b, tensor.Float32, n)
	var small []*tensor.Tensor
	for i := range 3 {
		for j := range data {
			data[j] = float32(i + j)
		}
		small = append(small, tensor.FromSlice(b, data[:5], 5))
		x.SetFloat32s(data)
	}
	for i, s := range small {
		if got := values(s); got[4] != float32(i+4) {
			t.Errorf("upload %d: %v", i, got)
		}
	}
	clear(data)
	if got := values(x); got[0] != 2 || got[n-1] != float32(n+1) {
		t.Errorf("%v ... %v", got[0], got[n-1])
	}
}

// Uploads that the card may not have read yet have different places.
func TestStaging(t *testing.T) {
	b := open(t)
	defer b.enter("Staging")()
	p := b.scratch(64)
	for _, n := range []int{1, 3, 4, 15} {
		before := b.staging.used
		b.upload(p, make([]byte, n))
		if used := b.staging.used - before; used < n {
			t.Errorf("an upload of %d bytes took %d", n, used)
		}
	}
}

func TestTables(t *testing.T) {
	b := open(t)
	defer b.enter("Tables")()
	first := b.table([]int32{0, 1, 2})
	for i := range 2 * maxTables {
		b.table([]int32{int32(i), 7})
		if p := b.table([]int32{0, 1, 2}); p != first {
			t.Fatalf("a table that is used moved after %d others", i+1)
		}
	}
	if len(b.tables) != maxTables {
		t.Errorf("%d tables are kept", len(b.tables))
	}
	if len(b.retired) > 0 || len(b.live) > maxTables {
		t.Errorf("%d small tables were freed, %d allocations are left", len(b.retired), len(b.live))
	}
	long := make([]int32, tableSize/4+1)
	for i := range long {
		long[i] = int32(i)
	}
	for _, want := range [][]int32{{0, 1, 2}, {5, 7}, {2*maxTables - 1, 7}, long, long[1:], long[2:], {5, 7}} {
		got := make([]int32, len(want))
		b.download(got, b.table(want))
		if !slices.Equal(got, want) {
			t.Errorf("table %v, want %v", got, want)
		}
	}
	if len(b.retired) != 1 {
		t.Errorf("%d tables were freed, want one that was too small", len(b.retired))
	}
}

func TestScratch(t *testing.T) {
	b := open(t)
	for range 3 {
		leave := b.enter("Scratch")
		var places []devptr
		for _, bytes := range []int{1, 1000, 3 << 20, 1 << 20} {
			p := b.scratch(bytes)
			b.upload(p, []int32{int32(bytes)})
			places = append(places, p)
		}
		for i, want := range []int32{1, 1000, 3 << 20, 1 << 20} {
			var got [1]int32
			b.download(got[:], places[i])
			if got[0] != want {
				t.Errorf("scratch memory %d holds %d", i, got[0])
			}
		}
		leave()
	}
}

// What the host knows of integers is what they are.
func TestMirror(t *testing.T) {
	b := open(t)
	x := tensor.FromSlice(b, []int32{1, 2, 3, 4, 5, 6, 7, 8}, 8)
	tp := tensor.NewTape(b)
	part := func(lo, hi int) *tensor.Tensor { return tp.Rows(x, lo, hi) }
	check := func(t2 *tensor.Tensor, want ...int32) {
		t.Helper()
		got := b.ints(t2)
		if !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	check(x, 1, 2, 3, 4, 5, 6, 7, 8)
	check(part(2, 5), 3, 4, 5)
	check(part(2, 2), []int32{}...)
	part(2, 7).SetInt32s([]int32{3, 4, 5, 6, 7})
	check(part(7, 8), 8)
	x.SetInt32s([]int32{1, 2, 3, 4, 5, 6, 7, 8})
	part(2, 4).SetInt32s([]int32{30, 40})
	check(part(2, 4), 30, 40)
	check(part(0, 2), 1, 2)
	check(part(4, 8), 5, 6, 7, 8)
	check(x) // in three pieces: the host must ask
	leave := b.enter("Mirror")
	if got := b.hostInts(x); !slices.Equal(got, []int32{1, 2, 30, 40, 5, 6, 7, 8}) {
		t.Errorf("from the card: %v", got)
	}
	leave()
	check(x, 1, 2, 30, 40, 5, 6, 7, 8)
	b.written(part(3, 4))
	check(part(2, 3), 30)
	check(part(3, 4))
	check(part(3, 5))
	check(part(4, 6), 5, 6)
	check(tensor.New(b, tensor.Int32, 3))
	check(tp.Columns(tensor.FromSlice(b, []int32{1, 2, 3, 4}, 2, 2), 0, 1)) // has gaps
}

// Memory that the program dropped is found when there is too little; what a method
// already has the address of is not taken from it.
func TestMemoryPressure(t *testing.T) {
	if !alone(t, "EMU_MEMORY=67108864") { // a card has more, and nothing to prove
		return
	}
	b := open(t)
	for i := range 20 {
		x := tensor.New(b, tensor.Float32, 4<<20) // 16 MiB
		b.Fill(x, float32(i))
		func() {
			defer b.enter("Pressure")()
			p := b.ptr(x)
			first := b.scratch(1 << 20)
			b.upload(first, []int32{7})
			b.scratch(12 << 20)
			var scratched [1]int32
			var last [1]float32
			b.download(scratched[:], first)
			b.download(last[:], p+16<<20-4)
			if scratched[0] != 7 || last[0] != float32(i) {
				t.Errorf("tensor %d: %v %v", i, scratched, last)
			}
		}()
	}
}
