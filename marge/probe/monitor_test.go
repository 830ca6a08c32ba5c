package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// fixture is a small corpus of accounts of events in three languages, and
// held-out ones.
type fixture struct {
	tok   tokenizer.Tokenizer
	store *corpus.Store
	held  *Heldout
}

func account(event int, lang string) corpus.Document {
	words := map[string]string{
		"en": "zero one two three four five six seven eight nine",
		"de": "null eins zwei drei vier fünf sechs sieben acht neun",
		"fr": "zéro un deux trois quatre cinq six sept huit neuf",
	}
	var text []string
	for _, digit := range fmt.Sprintf("%06d", event*791933%1000000) {
		text = append(text, strings.Fields(words[lang])[digit-'0'])
	}
	id := fmt.Sprintf("%d/%s", event, lang)
	return corpus.Document{ID: id, Lang: lang, Text: strings.Join(text, " "), Group: fmt.Sprint(event)}
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	var docs []corpus.Document
	for event := range 20 {
		for _, lang := range []string{"de", "en", "fr"} {
			docs = append(docs, account(event, lang))
		}
	}
	tok, err := tokenizer.Train(func(yield func(string) bool) {
		for _, d := range docs {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"de", "en", "fr"}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	var held []Document
	for event := 30; event < 36; event++ {
		for _, lang := range []string{"de", "en", "fr"} {
			d := account(event, lang)
			held = append(held, Document{d.ID, d.Lang, d.Group, tok.Encode(d.Text)})
		}
	}
	alone := account(40, "de")
	held = append(held, Document{alone.ID, "de", "", tok.Encode(alone.Text)}, Document{"x", "en", "", tok.Encode("nine")})
	return &fixture{tok, store, NewHeldout(held, HeldoutOptions{Seed: 1})}
}

func (f *fixture) model(t testing.TB) *marge.Model {
	t.Helper()
	m, err := marge.New(marge.Config{
		VocabSize: f.tok.VocabSize(), DModel: 16, MaxPositionEmbeddings: 64,
		EncoderLayers: 2, EncoderFFNDim: 32, EncoderAttentionHeads: 2, RetrievalLayers: 1,
		DecoderLayers: 2, DecoderFFNDim: 32, DecoderAttentionHeads: 2,
		Dropout: 0.1, Seed: 5, Backend: tensor.NewCPU(2),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = f.tok
	return m
}

func weights(m *marge.Model) []byte {
	var b bytes.Buffer
	for _, p := range m.Parameters() {
		x := make([]float32, p.Len())
		p.CopyTo(x)
		for _, v := range x {
			fmt.Fprintf(&b, "%08x", math.Float32bits(v))
		}
	}
	return b.Bytes()
}

func pretrain(t *testing.T, f *fixture, dir string, o Options, stopAt int) (*marge.Model, error) {
	t.Helper()
	m := f.model(t)
	p := marge.PretrainOptions{
		Steps: 24, WarmupSteps: 2, BatchTokens: 120, Links: index.LinkOptions{Mono: 4, Cross: 4},
		IndexEvery: 7, TFIDFSteps: 14, Seed: 3,
		Dir: filepath.Join(dir, "checkpoints"), CheckpointEvery: 4, Resume: true,
	}
	if o.Dir != "" {
		monitor, err := NewMonitor(context.Background(), m, o)
		if err != nil {
			t.Fatal(err)
		}
		defer monitor.Close()
		p.OnIndex = monitor.OnIndex
		p.OnStep = func(s marge.Metrics) error {
			if s.Step == stopAt {
				return errStop
			}
			return monitor.OnStep(s)
		}
	}
	_, err := marge.Pretrain(context.Background(), m, f.store, p)
	return m, err
}

var errStop = errors.New("stop")

// A monitored training, interrupted or not, ends with the weights of one that
// was not monitored, and its log has every record once.
func TestMonitor(t *testing.T) {
	f := newFixture(t)
	plain, err := pretrain(t, f, t.TempDir(), Options{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, stopAt := range []int{0, 15} {
		dir := t.TempDir()
		o := Options{Dir: dir, LogEvery: 5, Heldout: f.held, Probes: 3, Store: f.store, OnRecord: func(r *Record) error {
			r.Extra = map[string]float64{"own": float64(r.Step)}
			return nil
		}}
		m, err := pretrain(t, f, dir, o, stopAt)
		if stopAt > 0 {
			if !errors.Is(err, errStop) {
				t.Fatal(err)
			}
			m, err = pretrain(t, f, dir, o, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(weights(m), weights(plain)) {
			t.Errorf("stopped at %d: the monitor changed the training", stopAt)
		}
		records, err := ReadRecords(filepath.Join(dir, LogName))
		if err != nil {
			t.Fatal(err)
		}
		var steps, probes, links, train []int
		for _, r := range records {
			steps = append(steps, r.Step)
			if r.Heldout != nil {
				probes = append(probes, r.Step)
				if r.Train == nil || r.Heldout.RelevanceAligned.N != 36 || r.Heldout.Loss.None <= 0 {
					t.Errorf("probe of step %d: %+v", r.Step, r)
				}
			}
			if l := r.Links; l != nil {
				links = append(links, r.Step)
				pairs := 0
				for _, n := range l.Pairs {
					pairs += n
				}
				if pairs != l.Links || l.Chunks != 60 || l.PerTarget != float64(l.Links)/60 || l.CrossShare != 0.5 ||
					l.AlignedShare == nil || l.ScoreAligned.N+l.ScoreUnaligned.N != l.Links/2 ||
					*l.AlignedShare != float64(l.ScoreAligned.N)/float64(l.Links/2) {
					t.Errorf("links at step %d: %+v", r.Step, l)
				}
			}
			if x := r.Train; x != nil {
				train = append(train, r.Step)
				if !(x.Loss > 0.1 && x.Loss < 20 && x.GradNorm > 0 && x.GradNormMax >= x.GradNorm) ||
					x.Targets < 1 || x.Evidence < 1 {
					t.Errorf("training at step %d: %+v", r.Step, x)
				}
			}
			if r.TargetTokens <= 0 || r.Extra["own"] != float64(r.Step) {
				t.Errorf("record %+v", r)
			}
		}
		for what, s := range map[string][2][]int{
			"records": {steps, {1, 5, 8, 10, 15, 16, 20, 22, 24}}, "probes": {probes, {1, 8, 16, 24}},
			"links": {links, {1, 8, 15, 22}}, "training": {train, {1, 5, 8, 10, 15, 16, 20, 24}},
		} {
			// The monitor was told of the index that was made for the update at
			// which the training was stopped, but not of the update.
			if at := slices.Index(s[1], stopAt); at >= 0 {
				s[1] = slices.Delete(s[1], at, at+1)
				if what == "records" || what == "links" {
					s[1] = slices.Insert(s[1], at, stopAt-1)
				}
			}
			if !slices.Equal(s[0], s[1]) {
				t.Errorf("stopped at %d: %s at steps %v, want %v", stopAt, what, s[0], s[1])
			}
		}
	}
}

// A fine-tuning is monitored as a pre-training is: what is measured on its
// development data is a record of its own, and an event.
func TestMonitorFineTune(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	dir := t.TempDir()
	p, err := NewMonitor(context.Background(), m, Options{Dir: dir, LogEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	var list []marge.Labeled
	for event := range 12 {
		list = append(list, marge.Labeled{Text: account(event, "de").Text, Lang: "de", Label: "de"},
			marge.Labeled{Text: account(event, "fr").Text, Lang: "de", Label: "fr"})
	}
	task := marge.Classification{Train: list, Dev: list[:8]}
	_, err = marge.FineTune(context.Background(), m, task, marge.FineTuneOptions{
		Steps: 10, EvaluateEvery: 3, OnStep: p.OnStep, Dir: dir,
	})
	if err := errors.Join(err, p.Close()); err != nil {
		t.Fatal(err)
	}
	records, err := ReadRecords(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	var steps, measured, train []int
	for _, r := range records {
		steps = append(steps, r.Step)
		if r.Development != nil {
			measured = append(measured, r.Step)
			if r.Development["loss"] <= 0 || len(r.Development) != 2 {
				t.Errorf("step %d: %v", r.Step, r.Development)
			}
		}
		if r.Train != nil {
			train = append(train, r.Step)
		}
	}
	if !slices.Equal(steps, []int{3, 4, 6, 8, 9, 10}) || !slices.Equal(measured, []int{3, 6, 9, 10}) ||
		!slices.Equal(train, []int{4, 8, 10}) {
		t.Errorf("records %v, measured at %v, training at %v", steps, measured, train)
	}
	events, err := os.ReadFile(eventFiles(t, dir)[0])
	if err != nil || !bytes.Contains(events, []byte("development/accuracy")) {
		t.Errorf("no event of the accuracy, error %v", err)
	}
}

func TestMonitorErrors(t *testing.T) {
	for _, o := range []Options{{}, {Dir: "x", LogEvery: -1}, {Dir: "x", Probes: -1}} {
		if _, err := NewMonitor(context.Background(), nil, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	f := newFixture(t)
	dir := t.TempDir()
	failure := errors.New("disk full")
	_, err := pretrain(t, f, dir, Options{Dir: dir, LogEvery: 5, OnRecord: func(r *Record) error {
		if r.Step == 10 {
			return failure
		}
		return nil
	}}, 0)
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want that of OnRecord", err)
	}
	if steps := stepsOf(t, dir); !slices.Contains(steps, 10) {
		t.Errorf("records of steps %v, without the one at which OnRecord failed", steps)
	}
}

// A record is written although its measurement is cancelled, and a resumed run
// makes up for the measurement at once.
func TestMonitorStoppedDuringProbe(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	dir := t.TempDir()
	open := func(ctx context.Context) *Monitor {
		monitor, err := NewMonitor(ctx, m, Options{Dir: dir, LogEvery: 50, Heldout: f.held, Probes: 2})
		if err != nil {
			t.Fatal(err)
		}
		return monitor
	}
	step := func(n int) marge.Metrics {
		return marge.Metrics{Step: n, Loss: float64(n), TargetTokens: int64(n), Progress: float64(n) / 20}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	monitor := open(ctx)
	for n := 1; n < 10; n++ {
		if err := monitor.OnStep(step(n)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	monitor.OnIndex(marge.IndexStats{Index: 3, Links: 5, Targets: 5, Each: func(func(marge.Link) bool) {}})
	if err := monitor.OnStep(step(10)); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	if err := monitor.Close(); err != nil {
		t.Fatal(err)
	}
	monitor = open(t.Context())
	for n := 11; n <= 20; n++ {
		if err := monitor.OnStep(step(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := monitor.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := ReadRecords(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%d:%v,%v", r.Step, r.Heldout != nil, r.ProbeDue))
	}
	if want := []string{"1:true,false", "10:false,true", "11:true,false", "20:true,false"}; !slices.Equal(got, want) {
		t.Fatalf("records (step:measured,due) %v, want %v", got, want)
	}
	// The mean loss of steps 2 to 10, and the index.
	if r := records[1]; r.Train == nil || r.Train.Loss != 6 || r.Links == nil || r.Links.Index != 3 {
		t.Errorf("the record of the step at which the run was stopped: %+v", r)
	}
}

// What an index is like is not lost if the training is stopped before the
// update that follows it.
func TestMonitorStoppedAfterIndex(t *testing.T) {
	for _, stop := range []int{10, 12} { // with a record of its own, and without
		dir := t.TempDir()
		monitor, err := NewMonitor(t.Context(), nil, Options{Dir: dir, LogEvery: 5})
		if err != nil {
			t.Fatal(err)
		}
		for step := 1; step <= stop; step++ {
			if err := monitor.OnStep(marge.Metrics{Step: step, TargetTokens: int64(step), Progress: 0.1}); err != nil {
				t.Fatal(err)
			}
		}
		monitor.OnIndex(marge.IndexStats{Index: 4, Step: stop, Links: 9, Targets: 3})
		if err := monitor.Close(); err != nil {
			t.Fatal(err)
		}
		records, err := ReadRecords(filepath.Join(dir, LogName))
		if err != nil {
			t.Fatal(err)
		}
		want := []int{5, 10, 12}[:stop/5+stop%5/2]
		if steps := stepsOf(t, dir); !slices.Equal(steps, want) {
			t.Fatalf("stopped at %d: records of %v, want %v", stop, steps, want)
		}
		last := records[len(records)-1]
		if last.TargetTokens != int64(stop) || last.Links == nil || last.Links.Index != 4 ||
			(last.Train != nil) != (stop == 10) {
			t.Errorf("stopped at %d: %+v", stop, last)
		}
		if steps, _ := readEvents(t, eventFiles(t, dir)[0]); steps[len(steps)-1] != stop {
			t.Errorf("stopped at %d: events of steps %v", stop, steps)
		}
	}
}

// A resumed run goes on though lines of its log are damaged. The next record
// tells which.
func TestMonitorDamagedLog(t *testing.T) {
	dir := t.TempDir()
	appendSteps(t, dir, 1, 10, 20, 30)
	path := filepath.Join(dir, LogName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.IndexByte(data, '\n')+1] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	monitor, err := NewMonitor(t.Context(), nil, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for step := 31; step < 40; step++ {
		if err := monitor.OnStep(marge.Metrics{Step: step, Progress: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	if err := monitor.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := ReadRecords(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := stepsOf(t, dir); !slices.Equal(got, []int{10, 30, 31}) {
		t.Fatalf("steps %v", got)
	}
	for _, want := range []string{"metrics.jsonl.damaged", "metrics.jsonl:2: "} {
		if !strings.Contains(records[2].Warning, want) {
			t.Errorf("the warning is %q, without %q", records[2].Warning, want)
		}
	}
}

// A measurement that finds less than half of what the first of the run found
// leads to a warning, also if the run was resumed in between.
func TestUnlearnt(t *testing.T) {
	dir := t.TempDir()
	open := func(first int) *Log {
		l, err := OpenLog(dir, first)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	measured := func(p1 float64) *Measurement { return &Measurement{P1Centered: p1} }
	l := open(1)
	if w := l.warning(measured(0)); w != "" {
		t.Errorf("the first measurement: %q", w)
	}
	for step, p1 := range []float64{0: 0.4, 1: 0.9} {
		if err := l.Append(&Record{Step: step + 1, Heldout: measured(p1)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if w := l.warning(measured(0.2)); w != "" {
			t.Errorf("half of the first: %q", w)
		}
		if w := l.warning(measured(0.19)); !strings.Contains(w, "is 0.190 and was 0.400") {
			t.Errorf("less than half of the first: %q", w)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(3)
	}
	l.Close()
}

// A model that cannot tell documents apart any more is told of in the log.
func TestMonitorWarns(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	var warnings []string
	m := f.model(t)
	keep := func(r *Record) error {
		warnings = append(warnings, r.Warning)
		return nil
	}
	monitor, err := NewMonitor(t.Context(), m, Options{Dir: dir, Heldout: f.held, Probes: 2, OnRecord: keep})
	if err != nil {
		t.Fatal(err)
	}
	for step := range 2 {
		if err := monitor.OnStep(marge.Metrics{Step: step + 1, Progress: float64(step+1) / 2}); err != nil {
			t.Fatal(err)
		}
		// All documents get the same vector.
		for _, p := range m.Parameters() {
			switch p.Name {
			case "encoder.retrieval_layer_norm.weight":
				nn.Constant(p.Tensor, 0)
			case "encoder.retrieval_layer_norm.bias":
				nn.Constant(p.Tensor, 1)
			}
		}
	}
	if err := monitor.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := ReadRecords(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Warning != "" || !strings.Contains(records[1].Warning, "unlearnt") ||
		!slices.Equal(warnings, []string{"", records[1].Warning}) {
		t.Errorf("records %+v, warnings %q", records, warnings)
	}
}
