package finetuning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// session is one run of a program.
type session struct {
	o       *Options
	show    *program.Display
	w       io.Writer
	release func()
	backend tensor.Backend
	model   *marge.Model // which is fine-tuned
	trained bool         // model has been trained before
	result  Result
}

// Run runs a program on data. texts returns the texts of a record and their
// languages; task is called once the model is there.
func Run[T any](
	ctx context.Context, o *Options, d Data[T], texts func(T) (texts, languages []string), task func() (*Task, error),
) error {
	var train, languages []string
	for i, record := range slices.Concat(d.Train, d.Dev, d.Test) {
		t, langs := texts(record)
		if languages = append(languages, langs...); i < len(d.Train) {
			train = append(train, t...)
		}
	}
	s, err := open(ctx, o, train, languages)
	if err != nil {
		return err
	}
	defer s.release()
	t, err := task()
	if err != nil {
		return err
	}
	return s.measureAll(ctx, t)
}

// open opens the output directory and loads the model or makes it: of generated
// data, one that is pre-trained on generated news; of files without a checkpoint,
// one with random weights, whose tokenizer is trained on texts, in languages.
func open(ctx context.Context, o *Options, texts []string, languages []string) (*session, error) {
	s := &session{o: o, show: program.NewDisplay(os.Stderr), w: o.Output}
	s.result.Task = o.flags.Name()
	var err error
	if s.backend, err = o.Backend.Open(); err != nil {
		return nil, err
	}
	unlock, err := program.OpenOut(o.Out, o.flags.Name(), o.Resume, s.dir(pretraining), s.dir(fineTuning),
		s.dir(fromScratch))
	if err != nil {
		s.backend.Close()
		return nil, err
	}
	s.release = func() {
		s.backend.Close()
		unlock()
	}
	switch {
	case o.Checkpoint != "":
		s.trained = true
		if s.model, err = pretrained.Load(o.Checkpoint, s.backend); err != nil {
			err = fmt.Errorf("-checkpoint: %w", err)
		}
	case o.Generated():
		s.trained = true
		s.model, err = s.pretrain(ctx)
	default:
		s.model, err = s.random(texts, languages)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	s.result.Params = nn.Count(s.model.Parameters())
	return s, nil
}

// Directories below -out.
const (
	pretraining = "pretrain"
	fineTuning  = "finetune"
	fromScratch = "scratch"
)

func (s *session) dir(name string) string { return filepath.Join(s.o.Out, name) }

// random returns a model of the smallest size with random weights.
func (s *session) random(texts, languages []string) (*marge.Model, error) {
	path := filepath.Join(s.o.Out, "tokenizer.json")
	t, err := tokenizer.Load(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !s.o.Resume {
		fmt.Fprintln(s.w, "training the tokenizer")
		slices.Sort(languages)
		t, err = tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{
			VocabSize: marge.Tiny().VocabSize, Languages: slices.Compact(languages),
		})
		if err == nil {
			err = t.Save(path)
		}
	}
	if err != nil {
		return nil, err
	}
	c := pretrained.Tiny()
	c.Seed, c.VocabSize, c.Backend = s.o.Seed, t.VocabSize(), s.backend
	return fresh(c, t)
}

// fresh returns a model with random weights.
func fresh(c marge.Config, t tokenizer.Tokenizer) (*marge.Model, error) {
	m, err := marge.New(c)
	if err == nil {
		m.Tokenizer = t
	}
	return m, err
}

// pretrain trains a model on generated news.
func (s *session) pretrain(ctx context.Context) (*marge.Model, error) {
	docs := slices.Collect(news.Documents(news.Options{Seed: s.o.Seed, Events: s.o.PretrainEvents}))
	fmt.Fprintf(s.w, "pre-training on %d generated news reports\n", len(docs))
	checkpoint, config := "", pretrained.Tiny()
	config.Backend = s.backend
	m, err := pretrained.Train(ctx, docs, pretrained.Options{
		Config: config, Steps: s.o.Steps, Minutes: s.o.Minutes, Seed: s.o.Seed,
		Links: index.LinkOptions{Cross: 5, PerTarget: true},
		Dir:   s.dir(pretraining), Resume: s.o.Resume, Show: s.show,
		OnEnd: func(stats marge.PretrainStats) {
			checkpoint = stats.Checkpoint
			s.result.Pretraining = &Training{stats.Steps, stats.TargetTokens, stats.Elapsed.Seconds(), stats.Loss}
		},
	})
	if err != nil {
		return nil, s.stopped(err, checkpoint)
	}
	return m, nil
}

// duration is how long trainings go on that have no number of updates.
func (s *session) duration() time.Duration {
	if s.o.Steps > 0 {
		return 0
	}
	return time.Duration(s.o.Minutes * float64(time.Minute))
}

// progress returns an OnStep that shows how far a training is.
func (s *session) progress(what string) func(marge.Metrics) error {
	return func(m marge.Metrics) error {
		left := time.Duration(float64(m.Elapsed) / max(m.Progress, 1e-6) * (1 - m.Progress))
		s.show.Progress(fmt.Sprintf("%s %3.0f%%  step %d  loss %.3f  ETA %v", what, 100*m.Progress, m.Step, m.Loss,
			left.Round(time.Second)))
		return nil
	}
}

func (s *session) warn(err error) { s.show.Message("warning: %v", err) }

// stopped tells how to go on after an error that left a checkpoint.
func (s *session) stopped(err error, checkpoint string) error {
	if checkpoint != "" {
		s.show.Message("checkpoint: %s (the same flags with -resume -out %s go on from it)", checkpoint, s.o.Out)
	}
	return err
}

// measureAll measures baselines and the model as it is, if it can do the task already,
// fine-tunes it, measures it again, does the same from random weights, and leaves
// figures and outputs in -out.
func (s *session) measureAll(ctx context.Context, t *Task) error {
	err := s.fineTuneAll(ctx, t)
	s.show.End()
	s.result.finish(s.model)
	if err == nil {
		s.result.print(s.w, t)
		err = s.samples(t)
	}
	return errors.Join(err, program.WriteJSON(filepath.Join(s.o.Out, "result.json"), &s.result, s.o.JSON, s.w))
}

func (s *session) fineTuneAll(ctx context.Context, t *Task) error {
	s.result.Train, s.result.Dev, s.result.Test = t.Train, t.Dev, len(t.Langs)
	if t.FineTune != nil {
		s.result.ZeroShotLangs = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(t.Langs))),
			func(lang string) bool { return slices.Contains(t.TrainLangs, lang) })
	}
	for _, lang := range slices.Concat(t.TrainLangs, t.Langs) {
		if _, err := s.model.Tokenizer.LanguageToken(lang); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.w, "%d records to train on, %d to choose the model by, %d to evaluate on\n",
		t.Train, t.Dev, len(t.Langs))
	for _, b := range t.Baselines {
		if err := s.measure(ctx, t, b.Name, b.Outputs, 0); err != nil {
			return err
		}
	}
	if t.FineTune == nil || t.ZeroShot && s.trained {
		if err := s.apply(ctx, t, s.model, "without fine-tuning", 0); err != nil {
			return err
		}
	}
	if t.FineTune == nil {
		return nil
	}
	c := s.model.Config // before fine-tuning adds a head
	c.Seed = s.o.Seed
	stats, err := s.fineTune(ctx, t, s.model, fineTuning, s.o.Steps)
	s.result.FineTuning = &stats
	if err != nil {
		return err
	}
	if err := s.apply(ctx, t, s.model, "fine-tuned", stats.Steps); err != nil {
		return err
	}
	if !s.trained || !s.o.Scratch {
		return nil
	}
	random, err := fresh(c, s.model.Tokenizer)
	if err != nil {
		return err
	}
	if stats, err = s.fineTune(ctx, t, random, fromScratch, stats.Steps); err != nil {
		return err
	}
	return s.apply(ctx, t, random, "fine-tuned from random weights", stats.Steps)
}

// fineTune fine-tunes a model in a directory below -out.
func (s *session) fineTune(ctx context.Context, t *Task, m *marge.Model, name string, steps int) (Training, error) {
	dir := s.dir(name)
	monitor, err := probe.NewMonitor(ctx, m, probe.Options{Dir: dir})
	if err != nil {
		return Training{}, err
	}
	show := s.progress(name)
	rate := s.o.Rate
	if rate == 0 { // the few updates of some minutes need a high one
		rate = 3 * marge.DefaultLearningRate(m.Config)
	}
	o := marge.FineTuneOptions{
		Steps: steps, LearningRate: rate, LabelSmoothing: t.Smoothing, Seed: s.o.Seed,
		Dir: dir, Resume: s.o.Resume, KeepCheckpoints: 1, OnWarning: s.warn,
		OnStep: func(m marge.Metrics) error { return cmp.Or(show(m), monitor.OnStep(m)) },
	}
	if steps == 0 {
		o.Duration = s.duration()
	}
	if s.o.Freeze && name == fineTuning {
		o.Frozen = marge.FrozenForTransfer
	}
	stats, err := marge.FineTune(ctx, m, t.FineTune, o)
	s.show.End()
	training := Training{stats.Steps, stats.TargetTokens, stats.Elapsed.Seconds(), stats.Loss}
	if err := errors.Join(err, monitor.Close()); err != nil {
		return training, s.stopped(err, stats.Checkpoint)
	}
	fmt.Fprintf(s.w, "%s: %v\n", name, stats)
	return training, nil
}

// apply lets a model do the task on the records to evaluate on, and measures it.
func (s *session) apply(ctx context.Context, t *Task, m *marge.Model, name string, steps int) error {
	defer s.show.End()
	outputs, err := t.Apply(ctx, m, func(done, total int) {
		s.show.Progress(fmt.Sprintf("%s: %d of %d records", name, done, total))
	})
	if err != nil {
		return err
	}
	return s.measure(ctx, t, name, outputs, steps)
}
