package index

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/marge-go/marge/asm"
)

// maxTFIDF bounds the values of a shard's TF-IDF vectors: 1 GiB.
const maxTFIDF = 1 << 28

// DocumentFrequency counts in how many of the documents each token occurs.
func DocumentFrequency(docs [][]int32, vocabulary int) []int32 {
	df := make([]int32, vocabulary)
	last := make([]int32, vocabulary) // number, from 1, of the last document that had the token
	for i, doc := range docs {
		for _, id := range doc {
			if last[id] != int32(i+1) {
				last[id] = int32(i + 1)
				df[id]++
			}
		}
	}
	return df
}

// TFIDF returns the TF-IDF vectors of documents, rows of dim values of unit
// length. A token that occurs c times in a document and in df of total
// documents weighs (1 + ln c) * ln((1+total)/(1+df)). Each token has a
// coordinate of its own, dim being the size of the vocabulary, unless the
// vectors would take more than 1 GiB: then they are projected at random, with
// the given seed, to as many coordinates as that allows.
func TFIDF(docs [][]int32, df []int32, total int, seed uint64) (vectors []float32, dim int) {
	return tfidf(docs, df, total, seed, maxTFIDF)
}

func tfidf(docs [][]int32, df []int32, total int, seed uint64, limit int) (vectors []float32, dim int) {
	idf := make([]float64, len(df))
	for id, n := range df {
		idf[id] = math.Log(float64(1+total) / float64(1+n))
	}
	dim = len(df)
	var project []float32 // vocabulary x dim
	if len(docs)*dim > limit {
		dim = max(64, limit/len(docs))
		project = make([]float32, len(df)*dim)
		rng := rand.New(rand.NewPCG(seed, uint64(dim)))
		for i := range project {
			project[i] = 1 - 2*float32(rng.Uint64()&1)
		}
	}
	vectors = make([]float32, len(docs)*dim)
	count := make([]int32, len(df))
	for i, doc := range docs {
		row := vectors[i*dim : (i+1)*dim]
		for _, id := range doc {
			if id < 0 || int(id) >= len(df) {
				panic(fmt.Sprintf("index: TF-IDF: token %d of a vocabulary of %d", id, len(df)))
			}
			count[id]++
		}
		for _, id := range doc {
			if count[id] == 0 {
				continue
			}
			weight := float32((1 + math.Log(float64(count[id]))) * idf[id])
			count[id] = 0
			if project == nil {
				row[id] = weight
			} else {
				asm.Axpy(weight, project[int(id)*dim:(int(id)+1)*dim], row)
			}
		}
		if norm := math.Sqrt(asm.SumSquares(row)); norm > 0 {
			asm.Scale(row, float32(1/norm), row)
		}
	}
	return vectors, dim
}
