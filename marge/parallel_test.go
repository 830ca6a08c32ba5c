package marge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
	"github.com/marge-go/marge/tensor"
)

// parallelOptions make a training of four replicas, with an index by TF-IDF and
// two by g.
func parallelOptions(dir string) PretrainOptions {
	o := testOptions(dir)
	o.Steps, o.Accumulate, o.Replicas = 20, 1, 4
	o.IndexEvery, o.IndexShards, o.TFIDFSteps = 8, 0, 6
	return o
}

// ranked is what a rank has in the end.
type ranked struct {
	weights []byte
	stats   PretrainStats
	told    []Metrics // to OnStep
	indexes []IndexStats
	err     error
}

// trainRanks trains a new model on every rank of n. change, if not nil, changes the
// options of a rank, and wrap its transport.
func trainRanks(
	t *testing.T, n int, o PretrainOptions, change func(rank int, o *PretrainOptions),
	wrap func(dist.Transport) dist.Transport,
) []ranked {
	t.Helper()
	tok, store := testCorpus(t)
	results := make([]ranked, n)
	deadline := time.Minute
	if wrap != nil {
		deadline = time.Second
	}
	disttest.Run(n, dist.Options{Deadline: deadline}, wrap, func(g *dist.Group) error {
		r := &results[g.Rank()]
		m, err := New(testConfig(1))
		if err != nil {
			return err
		}
		m.Tokenizer = tok
		own := o
		own.Group = g
		own.OnStep = func(m Metrics) error { r.told = append(r.told, m); return nil }
		if own.Objective == "" {
			own.OnIndex = func(s IndexStats) { r.indexes = append(r.indexes, s) }
		}
		if change != nil {
			change(g.Rank(), &own)
		}
		r.stats, r.err = Pretrain(context.Background(), m, store, own)
		r.weights = weights(m)
		return r.err
	})
	return results
}

// timeless leaves out what depends on the clock.
func timeless(all []Metrics) (text string) {
	for _, m := range all {
		m.Elapsed = 0
		text += fmt.Sprintf("%+v\n", m)
	}
	return text
}

// The result of a training depends on the number of replicas, and not on that of
// the ranks that share them.
func TestRanksGiveTheSameBits(t *testing.T) {
	six := parallelOptions("")
	six.Replicas, six.Accumulate, six.DistillWeight = 6, 2, 0.5
	short := parallelOptions("")
	short.BFloat16Gradients = true
	cases := []struct {
		options PretrainOptions
		ranks   []int
	}{
		{parallelOptions(""), []int{1, 2, 4}},
		{short, []int{1, 2, 4}}, // as the one before, but for the rounding
		{six, []int{3, 6}},
		{PretrainOptions{Objective: Denoise, Steps: 10, Replicas: 2, BatchTokens: 120, Seed: 3}, []int{2}},
	}
	var before []byte // the parameters of the case before
	if testing.Short() {
		cases = cases[:1]
	}
	for _, c := range cases {
		o := c.options
		o.Dir = t.TempDir()
		var told []Metrics
		var links []string
		o.OnStep = func(m Metrics) error { told = append(told, m); return nil }
		if o.Objective == "" {
			o.OnIndex = func(s IndexStats) { links = append(links, fmt.Sprint(s.Links, slices.Collect(s.Each))) }
		}
		want, stats, err := train(t, 1, o)
		if err != nil {
			t.Fatal(err)
		}
		if o.BFloat16Gradients && bytes.Equal(want, before) {
			t.Error("gradients in bfloat16 give the same parameters as others")
		}
		before = want
		saved := readFile(t, filepath.Join(stats.Checkpoint, weightsName))
		state := readFile(t, filepath.Join(stats.Checkpoint, trainerState))
		for _, n := range c.ranks {
			o.Dir = t.TempDir()
			var got []string
			results := trainRanks(t, n, o, func(rank int, o *PretrainOptions) {
				if rank == 0 && o.Objective == "" {
					o.OnIndex = func(s IndexStats) { got = append(got, fmt.Sprint(s.Links, slices.Collect(s.Each))) }
				}
			}, nil)
			for rank, r := range results {
				if r.err != nil {
					t.Fatalf("%d ranks: %v", n, r.err)
				}
				if !bytes.Equal(r.weights, want) {
					t.Errorf("%d replicas on %d ranks: rank %d has other parameters than one rank alone", o.Replicas, n, rank)
				}
				if r.stats.Loss != stats.Loss || r.stats.TargetTokens != stats.TargetTokens || r.stats.Indexes != stats.Indexes {
					t.Errorf("rank %d of %d: %+v, want %+v", rank, n, r.stats, stats)
				}
				if rank > 0 && (r.told != nil || r.indexes != nil || r.stats.Checkpoint != "") {
					t.Errorf("rank %d calls callbacks or writes checkpoints: %+v", rank, r.stats)
				}
			}
			if timeless(results[0].told) != timeless(told) {
				t.Errorf("%d ranks: metrics\n%s, want\n%s", n, timeless(results[0].told), timeless(told))
			}
			if !slices.Equal(got, links) {
				t.Errorf("%d ranks: links\n%v, want\n%v", n, got, links)
			}
			if got := readFile(t, filepath.Join(results[0].stats.Checkpoint, weightsName)); !bytes.Equal(got, saved) {
				t.Errorf("%d ranks: %s is another one", n, weightsName)
			}
			if got := readFile(t, filepath.Join(results[0].stats.Checkpoint, trainerState)); !bytes.Equal(got, state) {
				t.Errorf("%d ranks: %s is another one", n, trainerState)
			}
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A training of which a rank fails at any step goes on from its checkpoint, on any
// number of ranks, with the same result. The other ranks have checkpoints in the
// same directory, or get them.
func TestRankFails(t *testing.T) {
	want, _, err := train(t, 1, parallelOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, shared := range []bool{true, false} {
		dir := t.TempDir()
		elsewhere := []string{dir, t.TempDir(), t.TempDir(), t.TempDir()}
		at := func(rank int, o *PretrainOptions) {
			if !shared {
				o.Dir = elsewhere[rank]
			}
		}
		bad := rng.IntN(4)
		o := parallelOptions(dir)
		o.CheckpointEvery = 2
		var under atomic.Bool // way: there is a checkpoint
		results := trainRanks(t, 4, o, func(rank int, o *PretrainOptions) {
			at(rank, o)
			o.OnStep = func(m Metrics) error { under.Store(m.Step > o.CheckpointEvery); return nil }
		}, func(t dist.Transport) dist.Transport {
			if t.Rank() == bad {
				return &lateFault{t, disttest.Faulty(t, disttest.Kill, rng.IntN(500)), &under}
			}
			return t
		})
		for rank, r := range results {
			if r.err == nil || r.stats.Steps == 20 {
				t.Fatalf("rank %d ends with %d steps, error %v when rank %d fails", rank, r.stats.Steps, r.err, bad)
			}
		}
		if _, step, err := checkpoint.Latest(dir, nil); err != nil {
			t.Fatal(err)
		} else if !shared {
			// A checkpoint of the same step that is another's is not used.
			_, _, err := checkpoint.Write(elsewhere[1], step, 1, func(d *checkpoint.Dir) error {
				return d.WriteFile(trainerName, []byte("{}"))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for rank, r := range trainRanks(t, 2, o, at, nil) {
			if r.err != nil || !bytes.Equal(r.weights, want) {
				t.Errorf("resumed by 2 ranks, one directory for all: %t: rank %d ends with other parameters; error %v", shared,
					rank, r.err)
			}
			if rank == 0 && len(r.told) == 20 {
				t.Error("the training began anew")
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "marge-checkpoint-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// lateFault is a transport that fails after the training has come somewhere.
type lateFault struct {
	dist.Transport
	faulty dist.Transport
	since  *atomic.Bool
}

func (l *lateFault) Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) error {
	if l.since.Load() {
		return l.faulty.Exchange(ctx, to, send, from, recv)
	}
	return l.Transport.Exchange(ctx, to, send, from, recv)
}

// Whatever happens to a rank, all end with an error, be it while gradients are added
// up, parameters are exchanged or a checkpoint is written.
func TestFaultsEndAllRanks(t *testing.T) {
	o := parallelOptions(t.TempDir())
	o.CheckpointEvery, o.Resume = 1, true
	for _, f := range disttest.Harmful {
		for _, after := range []int{38, 43, 50, 54} {
			for rank, r := range trainRanks(t, 2, o, nil, func(t dist.Transport) dist.Transport {
				if t.Rank() == 1 {
					return disttest.Faulty(t, f, after)
				}
				return t
			}) {
				if r.err == nil {
					t.Errorf("%v: rank %d has no error", f, rank)
				} else if rank == 0 && !strings.Contains(r.err.Error(), "rank 1") {
					t.Errorf("%v: rank 0: %v", f, r.err)
				}
			}
		}
	}
}

// What one rank decides, all do.
func TestDecisionsAreCollective(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		change func(rank int, o *PretrainOptions)
		want   string
		steps  int
	}{
		"an error of OnStep": {func(rank int, o *PretrainOptions) {
			o.OnStep = func(m Metrics) error {
				if m.Step == 3 {
					return enough
				}
				return nil
			}
		}, "pretrain: stopped after step 3: rank 0: enough", 3},
		"an error of OnLinks on one rank": {func(rank int, o *PretrainOptions) {
			o.OnLinks = linkAll
			if rank == 1 {
				o.OnLinks = nil
			}
		}, "pretrain: the ranks do not do the same: OnLinks is false on rank 1 and true on rank 0", 0},
		"the options of one rank": {func(rank int, o *PretrainOptions) {
			if rank == 1 {
				o.Steps = 0
			}
		}, "pretrain: rank 1: set one of Steps, TargetTokens and Duration", 0},
		"other options of one rank": {func(rank int, o *PretrainOptions) {
			if rank == 1 {
				o.Seed, o.Steps = 8, 21
			}
		}, "pretrain: the ranks do not do the same: Seed is 8 on rank 1 and 3 on rank 0; " +
			"Steps is 21 on rank 1 and 20 on rank 0", 0},
		"ranks that cannot share": {func(rank int, o *PretrainOptions) { o.Replicas = 6 }, "pretrain: option Replicas: " +
			"dist: 6 summands on 2 ranks: want a multiple of the ranks by 1, 2, 4 or another power of two", 0},
	} {
		for rank, r := range trainRanks(t, 2, parallelOptions(""), c.change, nil) {
			if r.err == nil || r.err.Error() != c.want || r.stats.Steps != c.steps {
				t.Errorf("%s: rank %d: %d steps, error %v, want %s", name, rank, r.stats.Steps, r.err, c.want)
			}
		}
	}
}

// Ranks whose products are rounded otherwise are told apart.
func TestRanksWithOtherPrecision(t *testing.T) {
	tok, store := testCorpus(t)
	want := "backend is cpu bfloat16 on rank 1 and cpu float32 on rank 0"
	errs := disttest.Run(2, dist.Options{}, nil, func(g *dist.Group) error {
		c := testConfig(1)
		if g.Rank() == 1 {
			b, err := tensor.NewCPUWith(tensor.CPUOptions{Precision: tensor.BFloat16, Slow: true})
			if err != nil {
				return err
			}
			c.Backend = b
		}
		m, err := New(c)
		if err != nil {
			return err
		}
		m.Tokenizer = tok
		o := parallelOptions("")
		o.Group = g
		_, err = Pretrain(context.Background(), m, store, o)
		return err
	})
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank %d: error %v, want %s", rank, err, want)
		}
	}
}

// A context that is cancelled on one rank ends the training on all, with a
// checkpoint.
func TestOneRankIsCancelled(t *testing.T) {
	want, _, err := train(t, 1, parallelOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	tok, store := testCorpus(t)
	o := parallelOptions(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	errs := disttest.Run(2, dist.Options{}, nil, func(g *dist.Group) error {
		m, err := New(testConfig(1))
		if err != nil {
			return err
		}
		m.Tokenizer = tok
		own, mine := o, context.Background()
		own.Group = g
		if g.Rank() == 1 {
			mine = ctx
		}
		own.OnStep = func(m Metrics) error {
			if m.Step == 7 {
				cancel()
			}
			return nil
		}
		stats, err := Pretrain(mine, m, store, own)
		if stats.Steps != 7 {
			t.Errorf("rank %d has made %d steps", g.Rank(), stats.Steps)
		}
		return err
	})
	for rank, err := range errs {
		if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "pretrain: stopped after step 7: rank 1: ") {
			t.Errorf("rank %d: error %v", rank, err)
		}
	}
	got, stats, err := train(t, 1, o)
	if err != nil || !bytes.Equal(got, want) || stats.Steps != 20 {
		t.Errorf("resumed: another result, error %v", err)
	}
}

// A loss that is not finite is the same error on all ranks.
func TestRanksStopAtABadLoss(t *testing.T) {
	tok, store := testCorpus(t)
	errs := disttest.Run(4, dist.Options{}, nil, func(g *dist.Group) error {
		m, err := New(testConfig(1))
		if err != nil {
			return err
		}
		m.Tokenizer = tok
		values := m.shared.Weight.Float32s()
		for i := range values {
			values[i] = float32(math.Inf(1))
		}
		o := parallelOptions("")
		o.Group = g
		_, err = Pretrain(context.Background(), m, store, o)
		return err
	})
	for rank, err := range errs {
		if err == nil || err.Error() != errs[0].Error() || !strings.HasPrefix(err.Error(), "pretrain: step 1: loss is NaN") {
			t.Errorf("rank %d: error %v", rank, err)
		}
	}
}

// The clock of rank 0 says how far a training of a given duration is.
func TestRanksHaveOneClock(t *testing.T) {
	o := parallelOptions("")
	o.Steps, o.Duration, o.IndexEvery = 0, 300*time.Millisecond, 1000
	results := trainRanks(t, 2, o, nil, nil)
	for rank, r := range results {
		if r.err != nil || r.stats.Steps == 0 || r.stats.Steps != results[0].stats.Steps ||
			r.stats.Elapsed != results[0].stats.Elapsed || !bytes.Equal(r.weights, results[0].weights) {
			t.Errorf("rank %d: %+v, rank 0: %+v, error %v", rank, r.stats, results[0].stats, r.err)
		}
	}
}

// Parameters that differ are found before they are saved.
func TestRanksWithOtherParameters(t *testing.T) {
	o := parallelOptions(t.TempDir())
	tok, store := testCorpus(t)
	errs := disttest.Run(3, dist.Options{}, nil, func(g *dist.Group) error {
		m, err := New(testConfig(1))
		if err != nil {
			return err
		}
		m.Tokenizer = tok
		own := o
		own.Group, own.Replicas = g, 3
		l, _, err := newPretraining(m, store, own)
		if err != nil {
			return err
		}
		if g.Rank() == 2 {
			m.shared.Weight.Float32s()[5]++
		}
		return l.save()
	})
	for rank, err := range errs {
		want := "after step 0 the parameters of ranks [2] are not those of rank 0"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("rank %d: error %v, want %s", rank, err, want)
		}
	}
}

// Fine-tuning depends on the number of replicas alone as well.
func TestFineTuneOnRanks(t *testing.T) {
	task := Classification{Train: labeled(1, 50), Dev: labeled(2, 5)}
	want, stats := mustFineTune(t, task, resumable(""))
	dir := t.TempDir()
	errs := disttest.Run(2, dist.Options{}, nil, func(g *dist.Group) error {
		o := resumable(dir)
		o.Group = g
		m, s, err := fineTune(t, task, o)
		if err == nil && (!bytes.Equal(weights(m), weights(want)) || s.Best.String() != stats.Best.String() ||
			s.Loss != stats.Loss) {
			t.Errorf("rank %d: another result: %v, want %v", g.Rank(), s, stats)
		}
		return err
	})
	if err := disttest.FirstError(errs); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil || !bytes.Equal(weights(loaded), weights(want)) {
		t.Errorf("the directory has another model, error %v", err)
	}
}
