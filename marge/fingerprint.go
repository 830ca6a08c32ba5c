package marge

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// retrievalFingerprint identifies g: it is the SHA-256 of the names, shapes and
// values of its parameters and of what else g depends on. Two models with equal
// fingerprints give equal vectors, up to the rounding of their machines.
func (m *Model) retrievalFingerprint() [sha256.Size]byte {
	return m.hashRetrieval(func(h hash.Hash, p nn.Parameter) {
		if p.DType() != tensor.Int8 {
			hashValues(h, p.Values())
			return
		}
		q, scales := p.Int8s()
		hashValues(h, q)
		hashValues(h, scales)
	})
}

// RetrievalFingerprint returns a hash of g, in hexadecimal: of its weights and of what
// else its vectors depend on. Those of two models can be compared only if it is the
// same, see [Index.CheckModel].
func (m *Model) RetrievalFingerprint() string { return fmt.Sprintf("%x", m.retrievalFingerprint()) }

// sampleValues is how many values of a parameter checked looks at.
const sampleValues = 64

// checkedModel is what tells whether a model may still be the one that was
// checked, at little cost: some values of every parameter of g, and the revision,
// which training raises. Values in a device's memory would have to be fetched:
// there the revision alone tells, and who changes weights otherwise, through
// [Model.Parameters], is not noticed until the index is opened again.
type checkedModel struct {
	model    *Model
	revision uint64
	sample   [sha256.Size]byte
}

func (m *Model) checked() checkedModel {
	c := checkedModel{model: m, revision: m.revision.Load()}
	c.sample = m.hashRetrieval(func(h hash.Hash, p nn.Parameter) {
		if s, _ := p.Storage(); s.Device != nil {
			return
		}
		if p.DType() == tensor.Int8 {
			return // which does not change
		}
		values := p.Values()
		var sample []float32
		for i := range min(sampleValues, len(values)) {
			sample = append(sample, values[i*len(values)/min(sampleValues, len(values))])
		}
		hashValues(h, sample)
	})
	return c
}

func (m *Model) hashRetrieval(values func(h hash.Hash, p nn.Parameter)) [sha256.Size]byte {
	h := sha256.New()
	c := &m.Config
	pooling := cmp.Or(c.RetrievalPooling, PoolFirst)
	fmt.Fprintln(h, "marge g", c.EncoderAttentionHeads, c.RetrievalLayers, pooling, c.RetrievalDim)
	if c.UnscaledEmbeddings {
		fmt.Fprintln(h, "unscaled")
	}
	shared := m.shared.Parameters(nil, "shared.")
	for _, p := range append(shared, m.retrievalParameters()...) {
		fmt.Fprintln(h, p.Name, p.Shape())
		values(h, p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func hashValues[T float32 | int8](h hash.Hash, values []T) {
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

// CheckModel returns an error unless m made the index, as far as is known, as
// [Model.Retrieve] does. All weights of g are read for the first check of a model
// and again when they have changed; see checkedModel.
func (x *Index) CheckModel(m *Model) error {
	x.lock.RLock()
	dim, origin := x.flat.Dim(), x.flat.Origin
	x.lock.RUnlock()
	if dim != m.Config.EmbeddingDim() {
		return fmt.Errorf("the index has vectors of dimension %d, the model of %d", dim, m.Config.EmbeddingDim())
	}
	if origin == [sha256.Size]byte{} {
		return nil
	}
	now := m.checked()
	x.mu.Lock()
	defer x.mu.Unlock()
	if now == x.checked {
		return nil
	}
	if own := m.retrievalFingerprint(); own != origin {
		return fmt.Errorf("the index was made by model %s and this is model %s: their vectors cannot be compared",
			short(origin), short(own))
	}
	x.checked = now
	return nil
}
