package marge

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// Task is what a model is fine-tuned for: a SequenceToSequence, a Classification
// or a SpanExtraction.
type Task interface {
	name() string
	// read checks the records and turns them into examples.
	read(ctx context.Context, m *Model) (*taskData, error)
	// config returns the configuration of a model with the task's head.
	config(c Config, data *taskData) Config
	// objective returns what is minimised.
	objective(m *Model, smoothing float32) objective
	// measure returns how well the model does on examples of development data.
	measure(ctx context.Context, m *Model, dev []example) (map[string]float64, error)
	// chosenBy is the measure by which the best model is chosen.
	chosenBy() string
}

// An example is what a model learns from at once: a record, or a window of one
// that is long.
type example struct {
	source, target []int32 // what encoder and decoder read, without <s>, </s> and language token
	language       int32   // token that the decoder reads first
	masked         []masked
	second         int // where the second of two documents begins in source, with its <s>; 0: there is one
	// wanted is what a head should say: the class; or the first and the last token
	// of the answer, counted from 1 at the beginning of the context's window, 0 if
	// the window has no answer.
	wanted  [2]int32
	context int // where the context begins in target
	window  int // which token of the context that is
	record  int // number of the record, or of the chunk
}

// tokens returns how many tokens encoder and decoder read.
func (e *example) tokens() int { return len(e.source) + len(e.target) + 3 }

// newBatch returns the batch of examples.
func newBatch(examples []example) *Batch {
	b := &Batch{examples: examples}
	for _, e := range examples {
		b.Evidence, b.Targets = append(b.Evidence, e.source), append(b.Targets, e.target)
		b.Languages = append(b.Languages, e.language)
	}
	return b
}

// taskData are the examples of a task.
type taskData struct {
	train, dev   []example
	cut, dropped int                     // training records
	more         any                     // what else the scores of dev depend on
	name         func(record int) string // of a training record
}

// fingerprint identifies the examples.
func (d *taskData) fingerprint() string {
	h := sha256.New()
	var buf []byte
	for _, part := range [][]example{d.train, d.dev} {
		fmt.Fprintln(h, len(part))
		for _, e := range part {
			lengths := []int32{int32(len(e.source)), int32(len(e.target)), e.language, int32(e.context)}
			buf = buf[:0]
			for _, numbers := range [][]int32{lengths, e.wanted[:], e.source, e.target} {
				buf, _ = binary.Append(buf, binary.LittleEndian, numbers) // of a fixed size: no error
			}
			h.Write(buf)
		}
	}
	fmt.Fprintln(h, d.more)
	return hex.EncodeToString(h.Sum(nil))
}

// reader turns records into examples.
type reader struct {
	m         *Model
	languages map[string]int32
}

func newReader(m *Model) (*reader, error) {
	if m.Tokenizer == nil {
		return nil, errors.New("the model has no tokenizer")
	}
	if err := tokenizer.CheckSpecial(m.Tokenizer); err != nil {
		return nil, fmt.Errorf("the model's tokenizer: %w", err)
	}
	return &reader{m, map[string]int32{}}, nil
}

// language returns the token of a language.
func (r *reader) language(lang string) (int32, error) {
	id, ok := r.languages[lang]
	if !ok {
		var err error
		if id, err = r.m.Tokenizer.LanguageToken(lang); err != nil {
			return 0, err
		}
		r.languages[lang] = id
	}
	return id, nil
}

// text returns the tokens of a text that must not be empty.
func (r *reader) text(what, text string) ([]int32, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%s is empty", what)
	}
	return r.m.Tokenizer.Encode(text), nil
}

// room returns how many tokens of a document the model takes.
func (r *reader) room() int { return r.m.Config.longest() }

// recordName names a record for errors.
func recordName(list string, i int, where string) string {
	if where == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d] (%s)", list, i, where)
}

// readAll turns records for training and for development into examples. read
// returns those of a record, and whether it had to be cut. A training record of
// which there are none is dropped.
func readAll[T any](
	ctx context.Context, train, dev []T, where func(*T) string, read func(r *T) (examples []example, cut bool, err error),
) (*taskData, error) {
	if len(train) == 0 {
		return nil, errors.New("there are no training records")
	}
	d := &taskData{name: func(record int) string { return recordName("Train", record, where(&train[record])) }}
	readList := func(list string, records []T, use func(examples []example, cut bool)) error {
		for i := range records {
			if err := ctx.Err(); err != nil {
				return err
			}
			examples, cut, err := read(&records[i])
			if err != nil {
				return fmt.Errorf("%s: %w", recordName(list, i, where(&records[i])), err)
			}
			for j := range examples {
				examples[j].record = i
			}
			use(examples, cut)
		}
		return nil
	}
	err := readList("Train", train, func(examples []example, cut bool) {
		useful := func(e example) bool { return e.answered() }
		switch {
		case !slices.ContainsFunc(examples, useful):
			d.dropped++
			return
		case cut:
			d.cut++
		}
		d.train = append(d.train, examples...)
	})
	if err == nil {
		err = readList("Dev", dev, func(examples []example, _ bool) { d.dev = append(d.dev, examples...) })
	}
	if err != nil {
		return nil, err
	}
	if len(d.train) == 0 {
		return nil, errors.New("no answer of the training records fits in what the model reads at once")
	}
	return d, nil
}

// SequenceToSequence is the task to make a text of another: a translation, a
// summary. The source is the one evidence document of the target, whose language
// token the decoder reads first.
type SequenceToSequence struct {
	Train, Dev []Pair
}

func (SequenceToSequence) name() string     { return "sequence to sequence" }
func (SequenceToSequence) chosenBy() string { return lossName }

func (s SequenceToSequence) read(ctx context.Context, m *Model) (*taskData, error) {
	r, err := newReader(m)
	if err != nil {
		return nil, err
	}
	where := func(p *Pair) string { return p.Where }
	return readAll(ctx, s.Train, s.Dev, where, func(p *Pair) ([]example, bool, error) {
		language, err := r.language(p.TargetLang)
		if err != nil {
			return nil, false, err
		}
		source, err := r.text("the source", p.Source)
		if err != nil {
			return nil, false, err
		}
		target, err := r.text("the target", p.Target)
		if err != nil {
			return nil, false, err
		}
		room := r.room()
		e := example{source: source[:min(len(source), room)], target: target[:min(len(target), room)], language: language}
		return []example{e}, max(len(source), len(target)) > room, nil
	})
}

func (SequenceToSequence) config(c Config, _ *taskData) Config { return c }

func (SequenceToSequence) objective(m *Model, smoothing float32) objective {
	return &rendering{m, smoothing}
}

func (SequenceToSequence) measure(ctx context.Context, m *Model, dev []example) (map[string]float64, error) {
	sum, tokens := 0.0, 0
	err := m.inBatches(ctx, dev, func(tp *tensor.Tape, b *Batch) {
		out := (&rendering{m, 0}).loss(tp, b)
		sum, tokens = sum+float64(out.sum.Item()), tokens+out.tokens
	})
	return map[string]float64{lossName: sum / float64(tokens)}, err
}

// rendering is the objective of a SequenceToSequence: the negative log-likelihood
// of the tokens of each target, given its source.
type rendering struct {
	m         *Model
	smoothing float32
}

func (r *rendering) loss(tp *tensor.Tape, b *Batch) batchLoss {
	in := packDecoder(tp, b)
	hidden := r.m.decodeEach(tp, packEncoder(tp, b.Evidence), in)
	wanted := wantedTokens(b)
	loss, _ := r.m.crossEntropy(tp, hidden, wanted, r.smoothing, 1)
	return batchLoss{
		sum: loss, reported: loss, weight: len(wanted),
		targets: len(b.Targets), evidence: len(b.Evidence), tokens: len(wanted),
	}
}

// Classification is the task to tell classes of texts, or of pairs of texts,
// apart. Text and, after an </s>, Other go to the encoder and to the decoder, and
// a head reads the class from the decoder's last state.
type Classification struct {
	Train, Dev []Labeled
	// Labels are all classes; nil stands for those of Train, sorted.
	Labels []string
}

func (Classification) name() string     { return "classification" }
func (Classification) chosenBy() string { return "accuracy" }

func (c Classification) labels() Labels {
	if c.Labels != nil {
		return c.Labels
	}
	var labels Labels
	for _, r := range c.Train {
		labels = append(labels, r.Label)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func (c Classification) read(ctx context.Context, m *Model) (*taskData, error) {
	r, err := newReader(m)
	if err != nil {
		return nil, err
	}
	labels := c.labels()
	if err := labels.validate(); err != nil {
		return nil, err
	}
	numbers := map[string]int32{}
	for i, label := range labels {
		numbers[label] = int32(i)
	}
	where := func(l *Labeled) string { return l.Where }
	return readAll(ctx, c.Train, c.Dev, where, func(l *Labeled) ([]example, bool, error) {
		e, cut, err := r.labeled(l)
		if err != nil {
			return nil, false, err
		}
		class, ok := numbers[l.Label]
		if !ok {
			return nil, false, fmt.Errorf("label %q is none of %q", l.Label, labels)
		}
		e.wanted[0] = class
		return []example{e}, cut, nil
	})
}

func (c Classification) config(model Config, _ *taskData) Config {
	model.Labels = c.labels()
	return model
}

func (Classification) objective(m *Model, smoothing float32) objective {
	return &classes{m, smoothing}
}

func (Classification) measure(ctx context.Context, m *Model, dev []example) (map[string]float64, error) {
	scores, err := m.headScores(ctx, dev, m.classScores)
	if err != nil {
		return nil, err
	}
	loss, right := 0.0, 0
	for i, row := range scores {
		p, wanted := softmax(row), dev[i].wanted[0]
		loss -= logOf(p[wanted])
		if slices.Max(p) == p[wanted] {
			right++
		}
	}
	n := float64(len(dev))
	return map[string]float64{lossName: loss / n, "accuracy": float64(right) / n}, nil
}

// classes is the objective of a Classification: the cross-entropy of the classes.
type classes struct {
	m         *Model
	smoothing float32
}

func (c *classes) loss(tp *tensor.Tape, b *Batch) batchLoss {
	var wanted []int32
	for _, e := range b.examples {
		wanted = append(wanted, e.wanted[0])
	}
	o := tensor.CrossEntropyOptions{Smoothing: c.smoothing, Reduction: tensor.ReductionSum}
	loss := tp.CrossEntropyLoss(c.m.classScores(tp, b).Tensor, tp.Ints(wanted), o)
	return headLoss(b, loss, len(wanted))
}

// headLoss is the loss of a batch with so many predictions of a head. Tokens are
// those that the decoder reads.
func headLoss(b *Batch, loss *tensor.Tensor, predictions int) batchLoss {
	out := batchLoss{sum: loss, reported: loss, weight: predictions, targets: len(b.Targets), evidence: len(b.Evidence)}
	for _, target := range b.Targets {
		out.tokens += len(target) + 1
	}
	return out
}
