package prepare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// jaccard compares sets of shingles themselves.
func jaccard(a, b string) float64 {
	set := func(text string) map[string]bool {
		words := strings.Fields(strings.NewReplacer(".", " ", "\n", " ").Replace(text))
		s := map[string]bool{}
		for i := 0; i+5 <= len(words); i++ {
			s[strings.Join(words[i:i+5], " ")] = true
		}
		return s
	}
	x, y := set(a), set(b)
	both := 0
	for s := range x {
		if y[s] {
			both++
		}
	}
	return float64(both) / float64(len(x)+len(y)-both)
}

// Estimates are right on the average, and no further off than 128 draws are.
func TestSimilarity(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, changes := range []int{0, 1, 3, 8, 20} {
		const pairs = 60
		var bias, square, variance float64
		for range pairs {
			a := prose(r, 150)
			b := changed(r, a, changes)
			s, _ := Sign(a)
			o, _ := Sign(b)
			want := jaccard(a, b)
			d := s.Similarity(&o) - want
			bias, square = bias+d/pairs, square+d*d/pairs
			variance += want * (1 - want) / signatureSize / pairs
		}
		// Five standard errors of a mean of 60, and twice the variance.
		if math.Abs(bias) > 5*math.Sqrt(variance/pairs) || square > 2*variance {
			t.Errorf("%d changes: off by %.4f on the average, variance %.6f, want %.6f", changes, bias, square, variance)
		}
	}
}

// Signatures are compared across runs and machines: they never change.
func TestSignGolden(t *testing.T) {
	s, ok := Sign("The bridge over the River opened today.")
	same, _ := Sign("THE BRIDGE OVER THE RIVER\nOPENED, TODAY")
	if got := fmt.Sprintf("%x", s[:4]); !ok || got != "[59e99bf 11c4f758 52669d4b 3e0affb]" {
		t.Errorf("the signature begins with %s", got)
	}
	if s != same {
		t.Error("letter case, white space or punctuation matters")
	}
	if got := fmt.Sprintf("%x %x", s.band(0), s.band(15)); got != "b230b00a00267778 45c34184e702a70a" {
		t.Errorf("bands are %s", got)
	}
	if zh, ok := Sign("今天大桥通车了"); !ok || zh == s {
		t.Errorf("Chinese: ok %v", ok)
	}
	if _, ok := Sign(" - … !"); ok {
		t.Error("a text without words has a signature")
	}
	if readSignature(s.append(nil)) != s {
		t.Error("a signature is not read as it was written")
	}
}

// With more than 64 documents of a band, all are compared with the first 64.
func TestBandLimit(t *testing.T) {
	// All documents have the key of one band, and signatures so that each is near
	// one other: number i and i+100.
	signature := func(i int) (s Signature) {
		for j := range s {
			s[j] = uint32(i%100*1000 + j)
		}
		return s
	}
	var n nearDuplicates
	var got []string
	for i := range 200 {
		s := signature(i)
		r := record{fmt.Appendf(nil, "00 %s %s", hexOf(fmt.Sprintf("%03d", i)), hexOf(fmt.Sprint(i))), s.value()}
		err := n.add(r, func(r record) error {
			id, err := unhex(r.group())
			got = append(got, id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 64 || got[0] != "100" || got[63] != "163" {
		t.Errorf("%d dropped: %v; want 100 to 163", len(got), got)
	}
}
