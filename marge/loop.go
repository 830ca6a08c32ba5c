package marge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// A source gives the batches of a training and keeps its place among them.
type source interface {
	// take returns the batches of the update that follows step updates: n of
	// them, or fewer, but at least one, where a pass over the data ends.
	take(ctx context.Context, step, n int) ([]*Batch, error)
	// putBack undoes the last take: its update was not made.
	putBack()
	// documents names the target documents of a batch of the last take.
	documents(b *Batch) []string
	// place tells where the source is, for a checkpoint: a value for JSON, and
	// tensors. restore goes back there, after step updates, and returns the names
	// of the tensors.
	place() (any, []safetensors.Tensor)
	restore(place json.RawMessage, step int, f *safetensors.File) (names []string, err error)
}

// An objective is what a training minimises: the sum of the losses of all
// predictions, divided by their number.
type objective interface {
	// loss computes on a tape how well the model does on a batch.
	loss(tp *tensor.Tape, b *Batch) batchLoss
}

// batchLoss is the loss of a batch. Both tensors have one element.
type batchLoss struct {
	sum      *tensor.Tensor // minimised
	reported *tensor.Tensor // the part of the sum that Metrics.Loss reports
	weight   int            // number of predictions: an update divides the sums by that of all its batches

	targets, evidence int     // documents of a reconstruction
	tokens            int     // predicted tokens of a reconstruction
	distill           float64 // sum over targets
}

// A phase of a training is a source and an objective for the updates before
// the one numbered until, counted from 0.
type phase struct {
	source    source
	objective objective
	until     int
}

// loopOptions are the settings of a training whatever it minimises. The fields
// have the meaning and the defaults of those of PretrainOptions.
type loopOptions struct {
	Steps                 int
	TargetTokens          int64
	Duration              time.Duration
	LearningRate          float64
	Groups                []optim.Group // parameters with learning rates of their own
	WarmupSteps           int
	WeightDecay, ClipNorm float64
	Accumulate, Replicas  int
	Seed                  uint64
	Group                 *dist.Group
	BFloat16Gradients     bool

	Dir             string
	CheckpointEvery int
	KeepCheckpoints int
	Resume          bool
	OnStep          func(Metrics) error
	OnWarning       func(error)

	// settings is all that the result depends on, for checkpoints: with others a
	// training is not resumed. inherited are settings that follow from Steps
	// unless they are given: a resumed training takes them from its checkpoint.
	settings  map[string]string
	inherited map[string]*int
}

const (
	warmupSteps = "WarmupSteps"
	tfidfSteps  = "TFIDFSteps"
)

// setDefaults replaces zero values by defaults and checks all settings.
func (o *loopOptions) setDefaults(c Config) error {
	bounds := 0
	for _, set := range []bool{o.Steps != 0, o.TargetTokens != 0, o.Duration != 0} {
		if set {
			bounds++
		}
	}
	if bounds != 1 {
		return errors.New("set one of Steps, TargetTokens and Duration")
	}
	setDefault(&o.LearningRate, DefaultLearningRate(c))
	warmup := 100
	if o.Steps > 0 {
		warmup = min(warmup, max(1, o.Steps/10))
	}
	if o.inherited == nil {
		o.inherited = map[string]*int{}
	}
	if o.WarmupSteps == 0 {
		o.inherited[warmupSteps] = &o.WarmupSteps
	}
	setDefault(&o.WarmupSteps, warmup)
	setDefault(&o.WeightDecay, 0.01)
	setDefault(&o.ClipNorm, 1)
	setDefault(&o.Accumulate, 1)
	setDefault(&o.Replicas, 1)
	setDefault(&o.CheckpointEvery, 1000)
	setDefault(&o.KeepCheckpoints, 2)
	if o.OnWarning == nil {
		o.OnWarning = func(err error) { log.Print(err) }
	}
	if o.Resume && o.Dir == "" {
		return errors.New("no directory is given: Resume needs Dir")
	}
	return errors.Join(
		atLeast("Steps", o.Steps, 0), atLeast("TargetTokens", o.TargetTokens, 0), atLeast("Duration", o.Duration, 0),
		notNegative("LearningRate", o.LearningRate),
		notNegative("WeightDecay", max(o.WeightDecay, 0)), notNegative("ClipNorm", max(o.ClipNorm, 0)),
		atLeast("Accumulate", o.Accumulate, 1), atLeast("Replicas", o.Replicas, 1),
		atLeast("CheckpointEvery", o.CheckpointEvery, 1), atLeast("KeepCheckpoints", o.KeepCheckpoints, 1),
	)
}

// record adds to more the settings of the loop that the result depends on.
// The length is not among them: a training may be resumed to be longer.
func (o *loopOptions) record(more map[string]string) map[string]string {
	more["LearningRate"], more[warmupSteps] = fmt.Sprint(o.LearningRate), fmt.Sprint(max(o.WarmupSteps, 0))
	more["WeightDecay"], more["ClipNorm"] = fmt.Sprint(max(o.WeightDecay, 0)), fmt.Sprint(max(o.ClipNorm, 0))
	more["Accumulate"], more["Replicas"] = fmt.Sprint(o.Accumulate), fmt.Sprint(o.Replicas)
	more["Seed"] = fmt.Sprint(o.Seed)
	if o.BFloat16Gradients { // checkpoints from before there was this option do not have it
		more["BFloat16Gradients"] = "true"
	}
	return more
}

// loop is a training: what it does is in update, what of it lasts in
// loopState.
type loop struct {
	o      *loopOptions
	m      *Model
	params []nn.Parameter // of the model: those that are trained
	phases []phase
	opt    *optim.AdamW
	// development, if not nil, measures the model and may end the training.
	development *development
	tape        *tensor.Tape
	sum         gradientSum
	losses      []*tensor.Tensor // of the batches of an update; they stay where the backend has them until all are made
	figures     []batchFigures   // of the batches of an update
	ranks       *ranksUpdate     // of several ranks

	step    int
	tokens  int64
	elapsed time.Duration
	recent  []float64 // losses of the last updates
	resumed int       // step that this run began with
	saved   string    // last checkpoint
}

// recentLosses is how many updates PretrainStats.Loss is the mean of.
const recentLosses = 100

// newLoop returns a training of some parameters of a model.
func newLoop(m *Model, params []nn.Parameter, o *loopOptions, phases ...phase) *loop {
	l := &loop{o: o, m: m, params: params, phases: phases, tape: tensor.NewTape(m.backend)}
	l.sum = gradientSum{params: params, short: o.BFloat16Gradients}
	if o.Group.Size() > 1 {
		l.ranks = newRanksUpdate(l)
		l.opt = &l.ranks.opt.AdamW
	} else {
		l.opt = optim.NewAdamW(params, o.Groups...)
	}
	l.opt.WeightDecay = float32(max(o.WeightDecay, 0))
	return l
}

// run trains from where the loop is to the end. An error leaves a checkpoint
// unless there is nothing new to save or the parameters are at fault.
func (l *loop) run(ctx context.Context) error {
	defer l.tape.Reset(tensor.Inference, 0) // which takes gradients back
	// An earlier run may have been stopped while it was measuring.
	if err := l.measure(ctx); err != nil {
		return fmt.Errorf("stopped after step %d: %w", l.step, err)
	}
	for l.progress() < 1 {
		start := time.Now()
		metrics, err := l.update(ctx)
		l.elapsed += time.Since(start)
		if err == nil {
			err = l.agreeOnTime()
		}
		var bad *stepError
		if errors.As(err, &bad) {
			return err
		}
		if err == nil {
			err = l.measure(ctx)
		}
		if err == nil {
			metrics.Beta, metrics.Elapsed, metrics.Progress = float64(l.m.Beta()), l.elapsed, l.progress()
			metrics.Development = l.development.news()
			err = l.o.Group.Lead(ctx, func(context.Context) error {
				if l.o.OnStep == nil {
					return nil
				}
				return l.o.OnStep(metrics)
			})
		}
		if err != nil {
			err = fmt.Errorf("stopped after step %d: %w", l.step, err)
			if l.step > l.resumed {
				err = errors.Join(err, l.save())
			}
			return err
		}
		if l.step%l.o.CheckpointEvery == 0 && l.progress() < 1 {
			if err := l.save(); err != nil {
				return err
			}
		}
	}
	return l.save()
}

// update makes one update of the parameters: it takes batches, adds up the
// gradients of their losses, divides them by the number of predictions, clips
// them and lets the optimiser take a step.
func (l *loop) update(ctx context.Context) (Metrics, error) {
	p := l.phase()
	n := l.o.Replicas * l.o.Accumulate
	batches, err := p.source.take(ctx, l.step, n)
	if err != nil {
		return Metrics{}, err
	}
	metrics := Metrics{Step: l.step + 1, LR: l.learningRate()}
	l.figures = make([]batchFigures, len(batches))
	gradients, gradNorm, step := l.gradients, l.gradNorm, l.optimize
	if l.ranks != nil {
		gradients, gradNorm, step = l.ranks.gradients, l.ranks.gradNorm, l.ranks.optimize
	}
	if err := gradients(ctx, p.objective, batches); err != nil {
		p.source.putBack()
		return Metrics{}, err
	}
	weight, tokens := 0, 0
	for i, f := range l.figures {
		if !finite(f.loss) {
			return Metrics{}, l.failed(p.source, batches[i], fmt.Errorf("loss is %v", f.loss))
		}
		metrics.Loss, metrics.Distill = metrics.Loss+f.loss, metrics.Distill+f.distill
		weight, tokens = weight+f.weight, tokens+f.tokens
		metrics.Targets, metrics.Evidence = metrics.Targets+f.targets, metrics.Evidence+f.evidence
	}
	metrics.Loss /= float64(weight)
	metrics.Distill /= float64(max(metrics.Targets, 1))
	norm, err := gradNorm()
	if err != nil {
		return Metrics{}, l.failed(p.source, batches[0], err)
	}
	metrics.GradNorm = norm / float64(weight)
	if err := step(metrics.LR, optim.ClipScale(metrics.GradNorm, l.o.ClipNorm)/float32(weight)); err != nil {
		p.source.putBack()
		return Metrics{}, err
	}
	l.m.revision.Add(1)
	l.step++
	l.tokens += int64(tokens)
	metrics.TargetTokens = l.tokens
	if len(l.recent) == recentLosses {
		l.recent = append(l.recent[:0], l.recent[1:]...)
	}
	l.recent = append(l.recent, metrics.Loss)
	return metrics, nil
}

// gradients computes those of all replicas, and their sum.
func (l *loop) gradients(ctx context.Context, o objective, batches []*Batch) error {
	last, err := l.lossesOf(ctx, o, batches)
	if err != nil {
		return err
	}
	if last != nil {
		l.backward(last)
	}
	for i := range l.params {
		l.sum.finish(i)
	}
	l.readLosses()
	return nil
}

// backward computes the gradients of the last batch. If it is the only one they take the
// place of its activations, until the next Reset.
func (l *loop) backward(last *tensor.Tensor) {
	if l.o.Replicas == 1 && l.o.Accumulate == 1 {
		l.tape.BackwardEach(func(*tensor.Tensor) {}, last)
	} else {
		l.tape.Backward(last)
	}
}

func (l *loop) gradNorm() (float64, error) { return optim.GradNorm(l.params) }

func (l *loop) optimize(lr float64, gradScale float32) error {
	l.opt.Step(lr, gradScale)
	return nil
}

// lossesOf computes the losses of the batches of this rank's replicas, and the sum of
// the gradients of all of them but the last: it returns the loss of that, to go back
// from, or nil if the last replica has no batch.
func (l *loop) lossesOf(ctx context.Context, o objective, batches []*Batch) (last *tensor.Tensor, err error) {
	own, end, err := l.o.Group.Share(l.o.Replicas)
	if err != nil {
		return nil, err
	}
	l.sum.reset()
	for replica := own; replica < end; replica++ {
		nn.ZeroGrad(l.params)
		for i := replica * l.o.Accumulate; i < min((replica+1)*l.o.Accumulate, len(batches)); i++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if last != nil {
				l.tape.Backward(last)
			}
			stream := uint64(l.step*l.o.Replicas*l.o.Accumulate + i)
			l.tape.Reset(tensor.Training, random(l.o.Seed, dropoutStream, stream).Uint64())
			out := o.loss(l.tape, batches[i])
			l.keepLoss(i, out.reported)
			last = out.sum
			l.figures[i] = batchFigures{
				distill: out.distill, weight: out.weight, tokens: out.tokens, targets: out.targets, evidence: out.evidence,
			}
		}
		if replica == end-1 {
			break
		}
		if last != nil {
			l.tape.Backward(last)
			last = nil
		}
		l.sum.add()
	}
	return last, nil
}

// readLosses waits for the losses of the batches of this rank's replicas.
func (l *loop) readLosses() {
	own, end, _ := l.o.Group.Share(l.o.Replicas)
	for i := own * l.o.Accumulate; i < min(end*l.o.Accumulate, len(l.figures)); i++ {
		l.figures[i].loss = float64(l.losses[i].Item())
	}
}

// phase returns what the next update belongs to.
func (l *loop) phase() *phase {
	for i := range l.phases {
		if l.step < l.phases[i].until {
			return &l.phases[i]
		}
	}
	return &l.phases[len(l.phases)-1]
}

// keepLoss keeps the loss of batch i beyond the next Reset of the tape. To
// read it now would make a device wait between forward and backward.
func (l *loop) keepLoss(i int, loss *tensor.Tensor) {
	for i >= len(l.losses) {
		l.losses = append(l.losses, tensor.New(l.m.backend, tensor.Float32, 1))
	}
	l.m.backend.Scale(l.losses[i], 1, loss)
}

// meanRecent returns the mean loss of the last updates.
func (l *loop) meanRecent() (mean float64) {
	for _, loss := range l.recent {
		mean += loss / float64(len(l.recent))
	}
	return mean
}

// progress returns the share of the training that is done.
func (l *loop) progress() float64 {
	switch {
	case l.development.enough():
		return 1
	case l.o.Steps > 0:
		return min(1, float64(l.step)/float64(l.o.Steps))
	case l.o.TargetTokens > 0:
		return min(1, float64(l.tokens)/float64(l.o.TargetTokens))
	}
	return min(1, float64(l.elapsed)/float64(l.o.Duration))
}

// learningRate returns the rate of the coming update.
func (l *loop) learningRate() float64 {
	step := l.step + 1
	s := optim.LinearDecay{Peak: l.o.LearningRate, Warmup: max(l.o.WarmupSteps, 0), Total: l.o.Steps + 1}
	if l.o.Steps > 0 {
		return s.LR(step)
	}
	s.Total = 0
	return s.LR(step) * (1 - l.progress())
}

// The streams of random numbers that are derived from the seed of a training.
const (
	shardStream = iota
	passStream
	dropoutStream
	contrastStream
	headStream
	noiseStream
)

// random returns the generator number n of a stream.
func random(seed, stream, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream<<56|n))
}

// A stepError is a loss or gradient that is not finite.
type stepError struct {
	step int
	docs []string
	err  error
}

func (l *loop) failed(s source, b *Batch, err error) error {
	return &stepError{step: l.step + 1, docs: s.documents(b), err: err}
}

func (e *stepError) Error() string {
	if len(e.docs) == 0 {
		return fmt.Sprintf("step %d: %v", e.step, e.err)
	}
	return fmt.Sprintf("step %d: %v; target documents: %v", e.step, e.err, e.docs)
}

func (e *stepError) Unwrap() error { return e.err }
