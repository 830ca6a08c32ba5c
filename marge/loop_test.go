package marge

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// The gradients of replicas are added as a perfect binary tree.
func TestGradientSumIsATree(t *testing.T) {
	b := tensor.NewCPU(1)
	params := []nn.Parameter{
		{Name: "a", Tensor: nn.NewParameter(b, 7)}, {Name: "some", Tensor: nn.NewParameter(b, 3)},
		{Name: "none", Tensor: nn.NewParameter(b, 2)},
	}
	rng := rand.New(rand.NewPCG(1, 1))
	sum := gradientSum{params: params}
	for _, replicas := range []int{1, 2, 3, 4, 7, 8, 12, 1} {
		has := func(replica, parameter int) bool { return parameter == 0 || parameter == 1 && replica%3 == 1 }
		gradients := make([][][]float32, replicas)
		for r := range gradients {
			nn.ZeroGrad(params)
			for i, p := range params {
				g := make([]float32, p.Len())
				if has(r, i) {
					for j := range g {
						g[j] = float32(rng.NormFloat64() * math.Pow(10, float64(rng.IntN(8))))
					}
					p.Grad().SetFloat32s(g)
				}
				gradients[r] = append(gradients[r], g)
			}
			if r < replicas-1 {
				sum.add()
			}
		}
		for i := range params {
			sum.finish(i)
		}
		sum.reset()
		// tree adds the replicas lo:hi.
		var tree func(lo, hi, parameter, j int) float32
		tree = func(lo, hi, parameter, j int) float32 {
			if hi == lo+1 {
				return gradients[lo][parameter][j]
			}
			half := 1
			for 2*half < hi-lo {
				half *= 2
			}
			return tree(lo, lo+half, parameter, j) + tree(lo+half, hi, parameter, j)
		}
		for i, p := range params[:2] {
			if i == 1 && replicas == 1 {
				continue // no replica has one
			}
			for j, got := range p.Grad().Float32s() {
				if want := tree(0, replicas, i, j); got != want {
					t.Errorf("%d replicas: gradient %d of %s is %v, want %v", replicas, j, p.Name, got, want)
				}
			}
		}
		if params[2].HasGrad() {
			t.Errorf("%d replicas: a parameter without gradients has one", replicas)
		}
	}
}

// Replicas share the batches of an update, whatever their number, and a
// training with replicas is as repeatable as one without.
func TestReplicas(t *testing.T) {
	options := func(dir string) PretrainOptions {
		o := testOptions(dir)
		o.Replicas, o.Accumulate, o.Steps = 3, 1, 30
		return o
	}
	checkRepeatable(t, options)

	var together, apart []Metrics
	o := options("")
	o.Steps, o.Replicas, o.Accumulate = 2, 1, 4
	o.OnStep = func(m Metrics) error { together = append(together, m); return nil }
	if _, _, err := train(t, 1, o); err != nil {
		t.Fatal(err)
	}
	o.Replicas, o.Accumulate = 4, 1
	o.OnStep = func(m Metrics) error { apart = append(apart, m); return nil }
	if _, _, err := train(t, 1, o); err != nil {
		t.Fatal(err)
	}
	a, b := together[0], apart[0]
	if a.Loss != b.Loss || a.Targets != b.Targets || a.TargetTokens != b.TargetTokens ||
		math.Abs(a.GradNorm/b.GradNorm-1) > 1e-5 {
		t.Errorf("4 replicas of a batch: %+v, one replica of 4 batches: %+v", b, a)
	}
}

// Cancelled in the middle of an update, a training saves the state before it.
func TestCancelBetweenTheBatchesOfAnUpdate(t *testing.T) {
	options := testOptions("")
	options.Steps, options.Accumulate = 8, 5
	want, _, err := train(t, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	o := options
	o.Dir, o.Resume = t.TempDir(), true
	l, _, err := newPretraining(m, store, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	last := &l.phases[len(l.phases)-1]
	last.objective = &hookedObjective{last.objective, func() {
		if l.step == 3 {
			cancel()
		}
	}}
	if err := l.run(ctx); !errors.Is(err, context.Canceled) || l.step != 3 {
		t.Fatalf("%d steps, error %v", l.step, err)
	}
	got, stats, err := train(t, 1, o)
	if err != nil || stats.Steps != 8 {
		t.Fatalf("%d steps, error %v", stats.Steps, err)
	}
	if !bytes.Equal(got, want) {
		t.Error("resumed after a cancelled update, the training ends with other parameters")
	}
}

// Every stage of making an index and a pass sees that the context is cancelled,
// and the source stays where it was.
func TestCancelledSource(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	_, links, err := newPretraining(m, store, testOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, step := range []int{0, 30} { // by TF-IDF and by g
		if err := links.reindex(cancelled, step); !errors.Is(err, context.Canceled) || links.indexes != 0 {
			t.Errorf("index after step %d: %d indexes, error %v", step, links.indexes, err)
		}
	}
	if _, err := links.take(context.Background(), 0, 3); err != nil {
		t.Fatal(err)
	}
	if err := links.startPass(cancelled, 1); !errors.Is(err, context.Canceled) || links.pass != 0 || links.next == 0 {
		t.Errorf("pass %d, batch %d, error %v", links.pass, links.next, err)
	}
}

// hookedObjective calls a function with every batch.
type hookedObjective struct {
	objective
	call func()
}

func (h *hookedObjective) loss(tp *tensor.Tape, b *Batch) batchLoss {
	h.call()
	return h.objective.loss(tp, b)
}

func TestResumeRefusesOtherSettings(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	o.Steps = 2
	if _, _, err := train(t, 1, o); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(o *PretrainOptions){
		"LearningRate was 0.003 and is 9": func(o *PretrainOptions) { o.LearningRate = 9 },
		"BatchTokens was 120 and is 60":   func(o *PretrainOptions) { o.BatchTokens = 60 },
		"Accumulate was 2 and is 3":       func(o *PretrainOptions) { o.Accumulate = 3 },
		"WarmupSteps was 5 and is 6; WeightDecay was 0.01 and is 0": func(o *PretrainOptions) {
			o.WarmupSteps, o.WeightDecay = 6, -1
		},
		"DetachRelevance was false and is true": func(o *PretrainOptions) { o.DetachRelevance = true },
		"Links was ":                            func(o *PretrainOptions) { o.Links.Cross = 3 },
	} {
		o := testOptions(dir)
		o.Steps = 4
		change(&o)
		if _, _, err := train(t, 1, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	o = testOptions(dir)
	o.Resume = false
	if _, _, err := train(t, 1, o); err == nil ||
		!strings.Contains(err.Error(), "holds checkpoints of an earlier training") {
		t.Errorf("a new training in a used directory: error %v", err)
	}
}

// Settings that follow from the length stay those of the start when a training
// is made longer.
func TestLongerTrainingInheritsWarmup(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	o.Steps, o.WarmupSteps, o.TFIDFSteps, o.LearningRate = 20, 0, 0, 1
	if _, _, err := train(t, 1, o); err != nil {
		t.Fatal(err)
	}
	o.Steps = 60
	var indexes []int
	o.OnIndex = func(s IndexStats) { indexes = append(indexes, s.Step) }
	o.OnStep = func(m Metrics) error {
		// After 2 updates of warm-up; 6 would be a tenth of the new length.
		if want := float64(61-m.Step) / 59; math.Abs(m.LR-want) > 1e-9 {
			t.Errorf("step %d: learning rate %v, want %v", m.Step, m.LR, want)
		}
		return nil
	}
	o.LearningRate = 1
	if _, stats, err := train(t, 1, o); err != nil || stats.Steps != 60 {
		t.Fatalf("%d steps, error %v", stats.Steps, err)
	}
	// With links by TF-IDF until step 20, a third of 60, there would be an index at 20.
	if !slices.Equal(indexes, []int{32, 45, 58}) {
		t.Errorf("indexes at %v", indexes)
	}
}

func TestDefaultLearningRate(t *testing.T) {
	for size, want := range map[string]float64{"tiny": 1e-3, "small": 5e-4, "base": 2.5e-4, "paper": 1.25e-4} {
		if got := DefaultLearningRate(Presets()[size]); got != want {
			t.Errorf("%s: learning rate %v, want %v", size, got, want)
		}
	}
	c := testConfig(1)
	c.DModel = 512
	m := testModel(t, c)
	tok, store := testCorpus(t)
	m.Tokenizer = tok
	for _, given := range []float64{0, 3e-3} {
		o := testOptions("")
		o.LearningRate, o.WarmupSteps, o.Steps, o.TargetTokens = given, -1, 0, 1
		o.OnStep = func(got Metrics) error {
			want := given
			if given == 0 {
				want = 2.5e-4
			}
			if got.LR != want {
				t.Errorf("LearningRate %v: trained at %v, want %v", given, got.LR, want)
			}
			return nil
		}
		if _, err := Pretrain(context.Background(), m, store, o); err != nil {
			t.Fatal(err)
		}
	}
}

// Training leaves nothing behind in the model.
func TestDetachRelevanceEndsWithTheTraining(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	o := testOptions("")
	o.Steps, o.DetachRelevance = 2, true
	if _, err := Pretrain(context.Background(), m, store, o); err != nil {
		t.Fatal(err)
	}
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Gradient, 1)
	nn.ZeroGrad(m.params)
	tp.Backward(m.Forward(tp, testBatch(), 0).Loss)
	if !m.encoder.retrievalNorm.Weight.HasGrad() {
		t.Error("after a training with DetachRelevance, g has no gradient")
	}
}

// Why no documents can be linked, and no checkpoint of a training that never
// began.
func TestNoLinks(t *testing.T) {
	tok, _ := testCorpus(t)
	docs := testDocuments(6)
	for want, change := range map[string]func(i int, d *corpus.Document, o *PretrainOptions){
		"every shard has one chunk":  func(i int, d *corpus.Document, o *PretrainOptions) { d.Shard = d.ID },
		"have the same source or id": func(i int, d *corpus.Document, o *PretrainOptions) { d.Source = "wire" },
		"in one language, and links are wanted across languages only": func(i int, d *corpus.Document, o *PretrainOptions) {
			d.Lang, o.Links.Mono = "en", 0
		},
		"too small for the links that are wanted": func(i int, d *corpus.Document, o *PretrainOptions) {
			o.Links.Mono, o.Links.Cross = 0.001, 0
		},
	} {
		o := testOptions(t.TempDir())
		changed := slices.Clone(docs)
		for i := range changed {
			change(i, &changed[i], &o)
		}
		store, err := corpus.FromDocuments(changed, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		m := testModel(t, testConfig(1))
		m.Tokenizer = tok
		if _, err := Pretrain(context.Background(), m, store, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if _, err := checkpoint.Newest(o.Dir); err == nil {
			t.Errorf("%s: a checkpoint is left behind", want)
		}
	}
}

// A checkpoint whose checksums are right but whose state no training has is
// refused.
func TestHostileTrainerState(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	o.Steps, o.KeepCheckpoints = 20, 1
	_, stats, err := train(t, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Steps = 30
	set := func(path []string, value any) func(t *testing.T, files map[string][]byte) {
		return func(t *testing.T, files map[string][]byte) {
			var state map[string]any
			if err := json.Unmarshal(files[trainerName], &state); err != nil {
				t.Fatal(err)
			}
			at := state
			for _, name := range path[:len(path)-1] {
				at = at[name].(map[string]any)
			}
			at[path[len(path)-1]] = value
			files[trainerName], _ = json.Marshal(state)
		}
	}
	write := func(content string) func(t *testing.T, files map[string][]byte) {
		return func(_ *testing.T, files map[string][]byte) { files[trainerName] = []byte(content) }
	}
	setInt := func(tensorName string, value int32) func(t *testing.T, files map[string][]byte) {
		return func(t *testing.T, files map[string][]byte) {
			editTensor(t, files, trainerState, tensorName, uint32(value))
		}
	}
	setFloat := func(name, tensorName string, value float64) func(t *testing.T, files map[string][]byte) {
		return func(t *testing.T, files map[string][]byte) {
			editTensor(t, files, name, tensorName, math.Float32bits(float32(value)))
		}
	}
	for name, c := range map[string]struct {
		edit func(t *testing.T, files map[string][]byte)
		want string // "": resumes
	}{
		"unchanged":   {func(*testing.T, map[string][]byte) {}, ""},
		"step -5":     {set([]string{"step"}, -5), "no state of a training"},
		"step 7":      {set([]string{"step"}, 7), "no state of a training"},
		"step 1<<62":  {set([]string{"step"}, 1<<62), "no state of a training"},
		"tokens":      {set([]string{"target_tokens"}, -1), "no state of a training"},
		"elapsed":     {set([]string{"elapsed_ns"}, -1), "no state of a training"},
		"losses":      {set([]string{"recent_losses"}, make([]float64, 101)), "no state of a training"},
		"indexes -1":  {set([]string{"source", "indexes"}, -1), "no training was ever there"},
		"indexes 0":   {set([]string{"source", "indexes"}, 0), "no training was ever there"},
		"index step":  {set([]string{"source", "index_step"}, -1000), "no training was ever there"},
		"late index":  {set([]string{"source", "index_step"}, 21), "no training was ever there"},
		"pass":        {set([]string{"source", "pass"}, -1), "no training was ever there"},
		"next -1":     {set([]string{"source", "next_batch"}, -1), "no training was ever there"},
		"next 1e9":    {set([]string{"source", "next_batch"}, 1000000000), "batch 1000000000 of a pass"},
		"no settings": {set([]string{"settings"}, nil), "not recorded"},
		"null":        {write("null"), "no state of a training"},
		"array":       {write("[]"), trainerName},
		"empty":       {write(""), trainerName},
		"trailing": {func(_ *testing.T, files map[string][]byte) {
			files[trainerName] = append(files[trainerName], "{}"...)
		}, "after top-level value"},
		"deep": {write(`{"step":` + strings.Repeat("[", 200000) + strings.Repeat("]", 200000) + "}"),
			trainerName},
		"unknown":        {set([]string{"more"}, 1), "unknown object member name \"more\""},
		"shard":          {setInt("index.shards", 7), "shard 7"},
		"negative shard": {setInt("index.shards", -1), "shard -1"},
		"count":          {setInt("index.counts", 1000000000), "1000000000 pairs"},
		"fewer":          {setInt("index.counts", 5), "index"},
		"target":         {setInt("index.targets", 100000000), "there are 24 items"},
		"evidence":       {setInt("index.evidence", -3), "there are 24 items"},
		"score":          {setFloat(trainerState, "index.scores", math.NaN()), "not a number"},
		"first moment":   {setFloat(trainerState, "m.shared.weight", math.NaN()), "m.shared.weight: element 0 is NaN"},
		"negative variance": {setFloat(trainerState, "v.shared.weight", -1),
			"v.shared.weight: a mean of squares is negative"},
		"infinite variance": {setFloat(trainerState, "v.shared.weight", math.Inf(1)), "v.shared.weight: element 0 is +Inf"},
		"many steps":        {setInt(stepsTensor, 21), "21 of 20 steps"},
		"negative steps":    {setInt(stepsTensor, -1), "-1"},
		"weight":            {setFloat(weightsName, "shared.weight", math.NaN()), "shared.weight"},
		"beta":              {setFloat(weightsName, "beta", math.Inf(1)), "beta"},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = edited(t, stats.Checkpoint, 20, c.edit)
			_, _, err := train(t, 1, o)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// edited returns a directory with a changed checkpoint, of a number of steps, whose
// checksums are right.
func edited(t *testing.T, path string, steps int, edit func(t *testing.T, files map[string][]byte)) (dir string) {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{configName, weightsName, tokenizerName, trainerName, trainerState} {
		files[name] = readTest(t, filepath.Join(path, name))
	}
	edit(t, files)
	dir = t.TempDir()
	_, _, err := checkpoint.Write(dir, steps, 1, func(dir *checkpoint.Dir) error {
		for name, data := range files {
			if err := dir.WriteFile(name, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// editTensor sets the first element of a tensor in a safetensors file.
func editTensor(t *testing.T, files map[string][]byte, name, tensorName string, bits uint32) {
	t.Helper()
	data := files[name]
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets []uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	if len(header[tensorName].Offsets) != 2 {
		t.Fatalf("%s has no tensor %s", name, tensorName)
	}
	binary.LittleEndian.PutUint32(data[8+n+header[tensorName].Offsets[0]:], bits)
}
