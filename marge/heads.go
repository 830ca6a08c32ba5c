package marge

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// Labels are the names of classes, the class number i being that of Labels[i].
// In JSON they are an object of numbers and names, as id2label in the config.json
// of Hugging Face.
type Labels []string

// MarshalJSON implements [json.Marshaler].
func (l Labels) MarshalJSON() ([]byte, error) {
	out := []byte("{")
	for i, label := range l {
		name, err := json.Marshal(label)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(fmt.Appendf(out, "%q:", strconv.Itoa(i)), name...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *Labels) UnmarshalJSON(data []byte) error {
	var byNumber map[string]string
	if err := json.Unmarshal(data, &byNumber); err != nil {
		return err
	}
	*l = nil
	for i := range len(byNumber) {
		label, ok := byNumber[strconv.Itoa(i)]
		if !ok {
			return fmt.Errorf("%d labels, and none of number %d", len(byNumber), i)
		}
		*l = append(*l, label)
	}
	return nil
}

// validate tells what is wrong with the labels of a model.
func (l Labels) validate() error {
	if len(l) == 1 {
		return fmt.Errorf("there is one label, %q; classes are told apart from two on", l[0])
	}
	seen := map[string]bool{}
	for i, label := range l {
		if label == "" {
			return fmt.Errorf("label %d is empty", i)
		}
		if seen[label] {
			return fmt.Errorf("label %q occurs twice", label)
		}
		seen[label] = true
	}
	return nil
}

// heads are what a fine-tuned model has on top of the decoder's last hidden
// states. Names and shapes are those of BART in Hugging Face's transformers.
type heads struct {
	class *classHead // nil without Config.Labels
	span  *nn.Linear // [2, d_model]: scores of a token to begin and to end an answer; nil without Config.AnswerTokens
}

// classHead gives the scores of the classes for the decoder's state at </s>, when
// it has read the whole input.
type classHead struct {
	dense, out *nn.Linear
}

// newHeads returns the heads of a configuration, all zero.
func newHeads(b tensor.Backend, c *Config) (h heads) {
	if n := len(c.Labels); n > 0 {
		h.class = &classHead{nn.NewLinear(b, c.DModel, c.DModel, nil), nn.NewLinear(b, c.DModel, n, nil)}
	}
	if c.AnswerTokens > 0 {
		h.span = nn.NewLinear(b, c.DModel, 2, nil)
	}
	return h
}

func (h *heads) parameters(list []nn.Parameter) []nn.Parameter {
	if h.class != nil {
		list = h.class.dense.Parameters(list, "classification_head.dense.")
		list = h.class.out.Parameters(list, "classification_head.out_proj.")
	}
	if h.span != nil {
		list = h.span.Parameters(list, "qa_outputs.")
	}
	return list
}

// adapt gives the model the heads and the dropout of a configuration that is the
// model's in all else. Heads that are new, or have other labels than before, start
// with random weights. undo makes the model what it was.
func (m *Model) adapt(c Config, seed uint64) (undo func(), err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	fresh := newHeads(m.backend, &c)
	if m.heads.class != nil && slices.Equal(c.Labels, m.Config.Labels) {
		fresh.class = nil
	}
	if m.heads.span != nil {
		fresh.span = nil
	}
	rng := random(seed, headStream, 0)
	for _, p := range fresh.parameters(nil) {
		if len(p.Shape()) == 2 {
			nn.Normal(p.Tensor, rng, initStd)
		}
	}
	if fresh.class == nil {
		fresh.class = m.heads.class
	}
	if fresh.span == nil {
		fresh.span = m.heads.span
	}
	config, old := m.Config, m.heads
	m.become(c, fresh)
	return func() { m.become(config, old) }, nil
}

// become changes what adapt may change.
func (m *Model) become(c Config, h heads) {
	m.Config, m.heads = c, h
	m.params = m.parameters()
	for _, l := range slices.Concat(m.encoder.layers, m.decoder.base) {
		l.dropout = c.Dropout
	}
	for _, l := range m.decoder.layers {
		l.dropout = c.Dropout
	}
}

var (
	errNoClasses = errors.New("the model has no head for classification: fine-tune it for a Classification")
	errNoSpans   = errors.New("the model has no head for span extraction: fine-tune it for a SpanExtraction")
)

// forward returns scores [n, classes] for the decoder's states x [n, d]:
// out(tanh(dense(x))), with dropout before both.
func (h *classHead) forward(tp *tensor.Tape, x *tensor.Tensor, dropout float32) *tensor.Tensor {
	x = tp.Tanh(h.dense.Forward(tp, tp.Dropout(x, dropout)))
	return h.out.Forward(tp, tp.Dropout(x, dropout))
}

// headScores are the scores that a head gives for the targets of a batch, those of
// target i being the rows offsets[i] to offsets[i+1]: one row of all classes; or
// for each token that may begin and end an answer, after one for none of them.
type headScores struct {
	*tensor.Tensor
	offsets []int32
}

// decodeEach returns the decoder's last hidden states for packed inputs, of which
// number i sees document i of read and no other, [tokens, d].
//
// There is no relevance: of one document it adds the same to all scores of
// equation 4, which the softmax does not see.
func (m *Model) decodeEach(tp *tensor.Tape, read, in packed) *tensor.Tensor {
	return m.decode(tp, in, m.project(tp, m.read(tp, read), read.offsets), nil, nil)
}

// classScores scores the classes of a batch whose targets are what its evidence is:
// the input goes to encoder and decoder (arXiv:2006.15020, section 4).
func (m *Model) classScores(tp *tensor.Tape, b *Batch) headScores {
	in := pack(tp, b.Targets, func(i int) int32 { return b.Languages[i] }, tokenizer.EOS)
	hidden := m.decodeEach(tp, packEncoder(tp, b.Evidence), in)
	last, offsets := make([]int32, len(b.Targets)), make([]int32, len(b.Targets)+1)
	for i := range last {
		last[i], offsets[i+1] = in.offsets[i+1]-1, int32(i+1)
	}
	return headScores{m.heads.class.forward(tp, tp.Gather(hidden, tp.Ints(last), 1), m.Config.Dropout), offsets}
}

// spanScores scores the tokens of contexts as beginnings and ends of answers, in
// two columns. The row before those of a context belongs to the language token:
// it says that the answer is not in this part of the context.
func (m *Model) spanScores(tp *tensor.Tape, b *Batch) headScores {
	in := packDecoder(tp, b)
	hidden := m.decodeEach(tp, packEncoder(tp, b.Evidence), in)
	var rows []int32
	offsets := []int32{0}
	for i, e := range b.examples {
		first := in.offsets[i]
		rows = append(rows, first)
		for row := first + 1 + int32(e.context); row < in.offsets[i+1]; row++ {
			rows = append(rows, row)
		}
		offsets = append(offsets, int32(len(rows)))
	}
	x := tp.Dropout(tp.Gather(hidden, tp.Ints(rows), 1), m.Config.Dropout)
	return headScores{m.heads.span.Forward(tp, x), offsets}
}
