package prepare

import (
	"encoding/binary"
	"strings"

	"github.com/zeebo/xxh3"
)

// Signature are the MinHashes of a text: the share of equal ones of two texts
// estimates the Jaccard similarity of their sets of shingles, with a standard
// error of at most 0.05.
type Signature [signatureSize]uint32

const (
	signatureSize = bands * bandRows
	bands         = 16
	bandRows      = 8
	shingleTokens = 5
)

// nearEnough is the number of equal MinHashes at which texts are duplicates: an
// estimated similarity of 0.8.
const nearEnough = (4*signatureSize + 4) / 5

// Sign returns the signature of the shingles of a text, five words in small
// letters, or five characters in scripts without spaces; a shorter text is one
// shingle. ok is false if the text has no words.
//
// Two texts of similarity s have all MinHashes of a band in common with
// probability s^8, and those of at least one of 16 bands with 1-(1-s^8)^16:
// 0.95 for s = 0.8, 0.06 for s = 0.5.
func Sign(text string) (sig Signature, ok bool) {
	var list []string
	for t := range tokens(text) {
		list = append(list, strings.ToLower(t.text))
	}
	for i := range sig {
		sig[i] = ^uint32(0)
	}
	for _, x := range shingles(list, shingleTokens) {
		for i := range sig {
			// The high bits of a product with a random odd number and a random
			// summand: x is a good hash already, this gives its permutations.
			sig[i] = min(sig[i], uint32((x*multipliers[i]+summands[i])>>32))
		}
	}
	return sig, len(list) > 0
}

// multipliers and summands never change: signatures of different runs, and of
// different machines, are compared.
var multipliers, summands = func() (m, s [signatureSize]uint64) {
	var b [8]byte
	for i := range m {
		binary.LittleEndian.PutUint64(b[:], uint64(i))
		m[i], s[i] = xxh3.HashSeed(b[:], 1)|1, xxh3.HashSeed(b[:], 2)
	}
	return m, s
}()

// shingles returns a hash of every n tokens that follow each other, or of all
// tokens if there are fewer.
func shingles(tokens []string, n int) []uint64 {
	if len(tokens) == 0 {
		return nil
	}
	n = min(n, len(tokens))
	bytes := make([]byte, 0, 8*len(tokens)) // hashes of the tokens
	for _, t := range tokens {
		bytes = binary.LittleEndian.AppendUint64(bytes, xxh3.HashString(t))
	}
	hashes := make([]uint64, 0, len(tokens)-n+1)
	for i := 0; i+n <= len(tokens); i++ {
		hashes = append(hashes, xxh3.Hash(bytes[8*i:8*(i+n)]))
	}
	return hashes
}

// band returns a hash of the MinHashes of a band.
func (s *Signature) band(i int) uint64 {
	var b [4 * bandRows]byte
	for j, v := range s[i*bandRows : (i+1)*bandRows] {
		binary.LittleEndian.PutUint32(b[4*j:], v)
	}
	return xxh3.HashSeed(b[:], uint64(i))
}

// Similarity estimates the Jaccard similarity of the shingles of two texts.
func (s *Signature) Similarity(other *Signature) float64 {
	return float64(s.equal(other)) / signatureSize
}

func (s *Signature) equal(other *Signature) (n int) {
	for i, v := range s {
		if v == other[i] {
			n++
		}
	}
	return n
}

// append appends the bytes of a signature, and readSignature is its inverse.
func (s *Signature) append(b []byte) []byte {
	for _, v := range s {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

const signatureBytes = 4 * signatureSize

func readSignature(b []byte) (s Signature) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return s
}
