package dist

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// onRanks runs a function on every rank of n, with messages of at most chunk bytes.
func onRanks(t *testing.T, n, chunk int, fn func(g *Group) error) {
	t.Helper()
	errs := make([]error, n)
	var running sync.WaitGroup
	for i, transport := range Local(n) {
		running.Go(func() {
			g, err := New(transport, Options{})
			if err == nil {
				g.chunk = chunk
				err = errors.Join(fn(g), g.Close())
			}
			errs[i] = err
		})
	}
	running.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("rank %d of %d: %v", i, n, err)
		}
	}
}

// tree adds up x[0] ... in a perfect binary tree, nearest neighbours first.
// round, if not nil, rounds the summands and every sum.
func tree(x [][]float32, round func([]float32)) []float32 {
	var sum []float32
	if len(x) == 1 {
		sum = slices.Clone(x[0])
	} else {
		half := 1 << (bits.Len(uint(len(x)-1)) - 1)
		sum = tree(x[:half], round)
		for i, v := range tree(x[half:], round) {
			sum[i] += v
		}
	}
	if round != nil {
		round(sum)
	}
	return sum
}

// randomValue has values of many sizes, so that sums depend on their order, and
// the special ones.
func randomValue(rng *rand.Rand) float32 {
	switch rng.IntN(12) {
	case 0:
		return float32(math.Copysign(0, -1))
	case 1:
		return float32(math.Inf(1 - 2*rng.IntN(2)))
	case 2:
		return math.SmallestNonzeroFloat32
	}
	return float32(rng.NormFloat64() * math.Pow(10, float64(rng.IntN(12)-6)))
}

// equalBits compares numbers bit by bit, but for the bits of a NaN, which the
// order of its operands decides.
func equalBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

// randomEnds divides n values into parts, of which some may be empty.
func randomEnds(rng *rand.Rand, n, parts int) []int {
	ends := make([]int, parts)
	for i := range ends {
		ends[i] = rng.IntN(n + 1)
	}
	slices.Sort(ends)
	ends[parts-1] = n
	return ends
}

// A sum of W summands has the same bits on any number of ranks that may share it,
// whether all ranks get all of it or each gets a part.
func TestSumsAreTheTree(t *testing.T) {
	const chunk = 64 // bytes
	rng := rand.New(rand.NewPCG(1, 2))
	for _, w := range []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24} {
		for size := 1; size <= w; size++ {
			if size > 1 && (w%size != 0 || bits.OnesCount(uint(w/size)) != 1) {
				continue
			}
			for _, length := range []int{0, 1, 2, chunk/4 - 1, chunk / 4, chunk/4 + 1, chunk/2 + 1, rng.IntN(500)} {
				summands := make([][]float32, w)
				for i := range summands {
					for range length {
						summands[i] = append(summands[i], randomValue(rng))
					}
				}
				want, rounded := tree(summands, nil), tree(summands, RoundBFloat16)
				ends := randomEnds(rng, length, size)
				seen := make([]bool, size) // parts
				var lock sync.Mutex
				onRanks(t, size, chunk, func(g *Group) error {
					first, end, err := g.Share(w)
					if err != nil {
						return err
					}
					if size == 1 && (first != 0 || end != w) {
						t.Errorf("one rank makes %d to %d of %d", first, end, w)
					}
					x, short := tree(summands[first:end], nil), tree(summands[first:end], RoundBFloat16)
					parts := slices.Clone(x)
					err = errors.Join(g.AllReduce(x), g.ReduceScatter(parts, ends), g.ReduceScatterBFloat16(short, ends))
					if err != nil {
						return err
					}
					own := g.Part()
					lock.Lock()
					if seen[own] {
						t.Errorf("%d ranks: two have part %d", size, own)
					}
					seen[own] = true
					lock.Unlock()
					if !equalBits(part(parts, ends, own, own+1), part(want, ends, own, own+1)) {
						t.Errorf("%d summands of length %d on %d ranks: rank %d has another sum in its part", w, length, size, g.Rank())
					}
					if err := errors.Join(g.AllGatherParts(parts, ends), g.AllGatherParts(short, ends)); err != nil {
						return err
					}
					if !equalBits(x, want) || !equalBits(parts, want) || !equalBits(short, rounded) {
						t.Errorf("%d summands of length %d on %d ranks: rank %d has another sum", w, length, size, g.Rank())
					}
					return nil
				})
			}
		}
	}
}

func TestRoundBFloat16(t *testing.T) {
	inf, nan := float32(math.Inf(1)), math.Float32frombits(0x7f800001)
	x := []float32{1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/256 + 1.0/65536, -3.14159265, inf, -inf, nan, math.MaxFloat32,
		math.Float32frombits(1 << 31)}
	want := []float32{1, 1, 1 + 1.0/64, 1 + 1.0/128, -3.140625, inf, -inf, nan, inf, math.Float32frombits(1 << 31)}
	RoundBFloat16(x)
	if !equalBits(x, want) {
		t.Errorf("%v, want %v", x, want)
	}
}

// Ranks that would change the sum are refused.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		summands, size int
		ok             bool
	}{{12, 1, true}, {12, 3, true}, {12, 6, true}, {12, 12, true}, {12, 2, false}, {12, 4, false}, {12, 5, false},
		{8, 16, false}, {0, 2, false}, {8, 4, true}} {
		g, err := New(Local(c.size)[c.size-1], Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, end, err := g.Share(c.summands)
		want := fmt.Sprintf("%d summands on %d ranks", c.summands, c.size)
		if c.ok && (err != nil || end != c.summands || end-first != c.summands/c.size) ||
			!c.ok && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: the last makes %d to %d, error %v", want, first, end, err)
		}
	}
	var alone *Group
	first, end, err := alone.Share(7)
	if first != 0 || end != 7 || err != nil || alone.Size() != 1 || alone.Err() != nil || alone.Close() != nil {
		t.Errorf("a rank alone makes %d to %d of 7, error %v", first, end, err)
	}
}

func TestIntegersAndBytes(t *testing.T) {
	const chunk = 24
	rng := rand.New(rand.NewPCG(3, 4))
	for size := 1; size <= 9; size++ {
		for _, length := range []int{0, 1, chunk/8 - 1, chunk / 8, chunk/8 + 1, 50} {
			numbers, texts := make([][]int64, size), make([][]byte, size)
			sum := make([]int64, length)
			for i := range numbers {
				for j := range length {
					numbers[i] = append(numbers[i], rng.Int64()-rng.Int64())
					sum[j] += numbers[i][j]
				}
				texts[i] = []byte(strings.Repeat(fmt.Sprint(i), rng.IntN(2)*rng.IntN(60)))
			}
			onRanks(t, size, chunk, func(g *Group) error {
				x := slices.Clone(numbers[g.Rank()])
				if err := g.AllReduceInt64(x); err != nil {
					return err
				}
				if !slices.Equal(x, sum) {
					t.Errorf("%d ranks: sum %v, want %v", size, x, sum)
				}
				all, err := g.AllGather(texts[g.Rank()])
				if err != nil {
					return err
				}
				if !slices.EqualFunc(all, texts, bytes.Equal) {
					t.Errorf("%d ranks: gathered %q, want %q", size, all, texts)
				}
				for root := range size {
					x := make([]byte, length)
					for i := range x {
						x[i] = byte(g.Rank()*31 + i)
					}
					if err := g.Broadcast(root, x); err != nil {
						return err
					}
					for i := range x {
						if x[i] != byte(root*31+i) {
							t.Errorf("%d ranks: byte %d from rank %d is %d at rank %d", size, i, root, x[i], g.Rank())
							break
						}
					}
				}
				return nil
			})
		}
	}
}

// Parts that do not cover the values are a mistake of the caller.
func TestPartsPanic(t *testing.T) {
	for _, ends := range [][]int{nil, {2}, {2, 2}, {2, 1}, {-1, 3}, {1, 2, 3}} {
		g, err := New(Local(2)[0], Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, call := range map[string]func() error{
			"reduce": func() error { return g.ReduceScatter(make([]float32, 3), ends) },
			"gather": func() error { return g.AllGatherParts(make([]float32, 3), ends) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: 3 values in parts that end at %v", name, ends)
					}
				}()
				_ = call()
			}()
		}
	}
}

func TestNewErrors(t *testing.T) {
	if _, err := New(Local(1)[0], Options{Deadline: -1}); err == nil {
		t.Error("a deadline before now is taken")
	}
	if _, err := New(&local{world: &localWorld{}}, Options{}); err == nil {
		t.Error("a rank of none is taken")
	}
}

// goroutines returns the stacks of the groups' goroutines that do not end, if there
// are any.
func goroutines() string {
	buf := make([]byte, 1<<20)
	for range 100 {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "nn/dist.(*") {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return string(buf[:runtime.Stack(buf, true)])
}
