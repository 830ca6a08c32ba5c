package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The trie says the same as a map, for keys with every byte and with dense and
// sparse nodes, and for texts that are no keys.
func TestTrie(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, alphabet := range []int{2, 4, 256} {
		for _, count := range []int{0, 1, 5, 300, 20000} {
			known := map[string]int32{}
			var keys []trieKey
			word := func() string {
				b := make([]byte, 1+r.IntN(9))
				for i := range b {
					b[i] = byte(r.IntN(alphabet))
				}
				return string(b)
			}
			for range count {
				w := word()
				if _, ok := known[w]; !ok {
					known[w] = int32(len(keys))
					keys = append(keys, trieKey{w, int32(len(keys))})
				}
			}
			tr, err := newTrie(keys)
			if err != nil {
				t.Fatal(err)
			}
			for w, id := range known {
				if got := tr.find(w); got != id {
					t.Fatalf("%d of %d: find(%q) = %d, want %d", count, alphabet, w, got, id)
				}
			}
			for range 3000 {
				w := word() + word()
				wantLen, wantID := 0, int32(-1)
				for n := range len(w) + 1 {
					id, ok := known[w[:n]]
					if ok {
						wantLen, wantID = n, id
					}
					if !ok {
						id = -1
					}
					if got := tr.find(w[:n]); got != id {
						t.Fatalf("find(%q) = %d, want %d", w[:n], got, id)
					}
				}
				if n, id := tr.longest(w, 100); n != wantLen || id != wantID {
					t.Fatalf("longest(%q) = %d, %d, want %d, %d", w, n, id, wantLen, wantID)
				}
			}
		}
	}
}

func TestTrieLimits(t *testing.T) {
	tr, err := newTrie([]trieKey{{"a", 0}, {"aa", 1}, {"aaa", 2}})
	if err != nil {
		t.Fatal(err)
	}
	if n, id := tr.longest("aaaa", 2); n != 2 || id != 1 {
		t.Errorf("the longest of the first two is %d, %d", n, id)
	}
	_, err = newTrie([]trieKey{{strings.Repeat("a", maxTrieSize+1), 0}})
	if err == nil || !strings.Contains(err.Error(), "beginnings") {
		t.Errorf("error %v for a key that is too long", err)
	}
}
