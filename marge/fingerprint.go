package marge

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/marge-go/marge/nn"
)

// retrievalFingerprint identifies g: it is the SHA-256 of the names, shapes and
// values of its parameters and of what else g depends on. Two models with equal
// fingerprints give equal vectors, up to the rounding of their machines.
func (m *Model) retrievalFingerprint() [sha256.Size]byte {
	return m.hashRetrieval(func(h hash.Hash, p nn.Parameter) { hashValues(h, p.Values()) })
}

// sampleValues is how many values of a parameter retrievalSample looks at.
const sampleValues = 64

// retrievalSample is a fingerprint of some values of every parameter of g, which
// costs little. A step of training changes it: it tells whether the weights may
// still be those of an earlier call. Of parameters in a device's memory only the
// small ones count, which are cheap to fetch.
func (m *Model) retrievalSample() [sha256.Size]byte {
	return m.hashRetrieval(func(h hash.Hash, p nn.Parameter) {
		if s, _ := p.Storage(); s.Device != nil && p.Len() > 1<<12 {
			return
		}
		values := p.Values()
		var sample []float32
		for i := range min(sampleValues, len(values)) {
			sample = append(sample, values[i*len(values)/min(sampleValues, len(values))])
		}
		hashValues(h, sample)
	})
}

func (m *Model) hashRetrieval(values func(h hash.Hash, p nn.Parameter)) [sha256.Size]byte {
	h := sha256.New()
	c := &m.Config
	pooling := cmp.Or(c.RetrievalPooling, PoolFirst)
	fmt.Fprintln(h, "marge g", c.EncoderAttentionHeads, c.RetrievalLayers, pooling, c.RetrievalDim)
	shared := m.shared.Parameters(nil, "shared.")
	for _, p := range append(shared, m.retrievalParameters()...) {
		fmt.Fprintln(h, p.Name, p.Shape())
		values(h, p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func hashValues(h hash.Hash, values []float32) {
	var buf []byte
	for len(values) > 0 {
		n := min(len(values), 1<<12)
		buf, _ = binary.Append(buf[:0], binary.LittleEndian, values[:n]) // numbers have a fixed size: no error
		h.Write(buf)
		values = values[n:]
	}
}

// short returns the first digits of a fingerprint, for people.
func short(fingerprint [sha256.Size]byte) string { return fmt.Sprintf("%x", fingerprint[:8]) }

// checkModel returns an error unless m made the index, as far as is known. The
// whole fingerprint is computed for the first search and again when a sample of
// the weights has changed.
func (x *Index) checkModel(m *Model) error {
	if x.flat.Dim() != m.Config.EmbeddingDim() {
		return fmt.Errorf("the index has vectors of dimension %d, the model of %d", x.flat.Dim(), m.Config.EmbeddingDim())
	}
	if x.flat.Origin == [sha256.Size]byte{} {
		return nil
	}
	sample := m.retrievalSample()
	x.mu.Lock()
	defer x.mu.Unlock()
	if sample == x.checked {
		return nil
	}
	if own := m.retrievalFingerprint(); own != x.flat.Origin {
		return fmt.Errorf("the index was made by model %s and this is model %s: their vectors cannot be compared",
			short(x.flat.Origin), short(own))
	}
	x.checked = sample
	return nil
}
