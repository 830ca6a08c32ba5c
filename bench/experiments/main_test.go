package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"image/png"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
)

func init() {
	for _, size := range []struct {
		name string
		d    int
	}{{"micro", 16}, {"milli", 32}} {
		sizes[size.name] = marge.Config{
			DModel: size.d, EncoderLayers: 2, EncoderFFNDim: 32, EncoderAttentionHeads: 2, RetrievalLayers: 1,
			DecoderLayers: 1, DecoderFFNDim: 32, DecoderAttentionHeads: 2, MaxPositionEmbeddings: 256,
		}
	}
}

// testRun runs an experiment on generated news with a tiny model.
func testRun(t *testing.T, out string, args ...string) (table string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	base := []string{args[0], "-size", "micro", "-vocabulary", "400", "-steps", "6", "-index-every", "3",
		"-batch-tokens", "200", "-chunk", "48",
		"-probes", "2", "-retrieval-dim", "48", "-events", "12", "-heldout-events", "6", "-targets", "2", "-out", out}
	if err := run(context.Background(), append(base, args[1:]...), &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return stdout.String()
}

// output reads and checks the files of an experiment.
func output(t *testing.T, out, name string) (r report) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(out, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if r.Experiment != name || r.Machine.Go == "" || r.Machine.CPU == "" || r.Machine.ISA == "" ||
		r.Settings.Steps != 6 || len(r.Seeds) == 0 {
		t.Errorf("%s.json does not say how it was made: %+v", name, r)
	}
	if len(r.Rows) == 0 || len(r.Findings) == 0 || len(r.Notes) == 0 {
		t.Errorf("%s: %d rows, findings %q, notes %q", name, len(r.Rows), r.Findings, r.Notes)
	}
	for _, row := range r.Rows {
		if len(row) != len(r.Columns) {
			t.Errorf("%s: row %q does not fit columns %q", name, row, r.Columns)
		}
		if text := strings.Join(row, " "); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: row %q", name, row)
		}
	}
	f, err := os.Open(filepath.Join(out, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Errorf("%s.png: %v", name, err)
	}
	md, err := os.ReadFile(filepath.Join(out, name+".md"))
	if err != nil || !strings.HasPrefix(string(md), "# "+name+": ") {
		t.Errorf("%s.md begins %.40q (%v)", name, md, err)
	}
	return r
}

func TestExperiments(t *testing.T) {
	out := t.TempDir()
	rows := map[string]int{"from-random": 3*4 + 5, "evidence": 4 + 6, "bias": 4, "batching": 10, "options": 13,
		"translate": 2, "mining": 8, "scaling": 2, "objectives": 6}
	for _, x := range experiments {
		args := []string{x.name, "-seeds", "1"}
		switch x.name {
		case "from-random", "bias":
			args = []string{x.name, "-seeds", "1,2"}
		case "translate":
			args = append(args, "-pairs", "de-en,en-ru", "-documents", "3", "-chunk", "250") // whole reports
		case "scaling":
			args = append(args, "-sizes", "micro,milli:3e-3")
		case "objectives":
			args = append(args, "-sizes", "micro", "-task-steps", "2", "-translate-steps", "2", "-translate-records", "3")
		}
		table := testRun(t, out, args...)
		r := output(t, out, x.name)
		if len(r.Rows) != rows[x.name] {
			t.Errorf("%s: %d rows, want %d:\n%s", x.name, len(r.Rows), rows[x.name], table)
		}
		if len(r.Trainings) == 0 || r.Trainings[0].Steps != 6 || r.Trainings[0].TargetTokens == 0 ||
			len(r.Trainings[0].Curve) < 2 {
			t.Errorf("%s: trainings %+v", x.name, r.Trainings)
		}
		if x.name == "scaling" && (r.Trainings[0].Settings.LearningRate != defaults().LearningRate ||
			r.Trainings[1].Settings.LearningRate != 3e-3) {
			t.Errorf("learning rates %v and %v", r.Trainings[0].Settings.LearningRate, r.Trainings[1].Settings.LearningRate)
		}
	}
	// 2 defaults, 3 variants of the bias with 2 seeds, 9 of batching, 12 of
	// options, one size, one on longer chunks, and four objectives: those in common
	// are trained once.
	dirs, err := os.ReadDir(filepath.Join(out, "runs"))
	if err != nil || len(dirs) != 2+3*2+9+12+1+1+4 {
		t.Errorf("%d trainings, want 35 (%v)", len(dirs), err)
	}
}

// A finished training is not repeated, and one that was interrupted goes on.
func TestResume(t *testing.T) {
	out := t.TempDir()
	testRun(t, out, "bias", "-seeds", "1", "-variants", "beta 0")
	first := output(t, out, "bias")
	results, err := filepath.Glob(filepath.Join(out, "runs", "*", "result.json"))
	if err != nil || len(results) != 2 {
		t.Fatalf("results %q (%v), want two", results, err)
	}
	var marked training
	data, err := os.ReadFile(results[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &marked); err != nil {
		t.Fatal(err)
	}
	marked.Seconds = 12345
	if err := writeJSON(results[0], &marked); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(results[1]); err != nil { // but not the checkpoint
		t.Fatal(err)
	}
	testRun(t, out, "bias", "-seeds", "1", "-variants", "beta 0")
	second := output(t, out, "bias")
	kept := 0
	for i, r := range second.Trainings {
		if r.Beta != first.Trainings[i].Beta || r.Final.G.Micro != first.Trainings[i].Final.G.Micro ||
			r.Final.Loss.All != first.Trainings[i].Final.Loss.All {
			t.Errorf("%s: another result after going on", r.Variant)
		}
		if r.Variant == "beta 0" && r.Beta != 0 {
			t.Errorf("beta is %v at the end", r.Beta)
		}
		if r.Seconds == marked.Seconds {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d trainings were taken as they were, want the finished one", kept)
	}
}

func TestCheckpoint(t *testing.T) {
	out, elsewhere := t.TempDir(), t.TempDir()
	testRun(t, out, "from-random", "-seeds", "1")
	dirs, err := filepath.Glob(filepath.Join(out, "runs", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("trainings %q (%v), want one", dirs, err)
	}
	want := output(t, out, "from-random")
	for _, dir := range []string{dirs[0], filepath.Join(dirs[0], "checkpoint-6")} {
		testRun(t, elsewhere, "from-random", "-checkpoint", dir)
		got := output(t, elsewhere, "from-random")
		if got.Rows[0][1] != want.Rows[0][1] || len(got.Rows) != len(want.Rows) {
			t.Errorf("row %q of the checkpoint, %q of the training", got.Rows[0], want.Rows[0])
		}
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "runs")); !os.IsNotExist(err) {
		t.Errorf("a model was trained in spite of -checkpoint (%v)", err)
	}
}

// A training from the weights of another at a rate of almost 0 ends as that
// one did.
func TestStart(t *testing.T) {
	out, elsewhere := t.TempDir(), t.TempDir()
	testRun(t, out, "from-random", "-seeds", "1")
	dirs, err := filepath.Glob(filepath.Join(out, "runs", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("trainings %q (%v), want one", dirs, err)
	}
	want := output(t, out, "from-random").Trainings[0]
	testRun(t, elsewhere, "from-random", "-seeds", "2", "-start", dirs[0], "-lr", "1e-30")
	got := output(t, elsewhere, "from-random").Trainings[0]
	if got.Final.Loss.All != want.Final.Loss.All || got.Final.G.Micro != want.Final.G.Micro || got.Beta != want.Beta {
		t.Errorf("from the weights of a model with %+v came one with %+v", want.Final.Loss.All, got.Final.Loss.All)
	}
	testRun(t, elsewhere, "from-random", "-seeds", "2", "-start", dirs[0], "-lr", "1e-30", "-retrieval-dim", "32")
	if wide := output(t, elsewhere, "from-random").Trainings[0]; wide.Final.G.Micro == want.Final.G.Micro ||
		wide.Beta != want.Beta {
		t.Error("g of another width is not random, or the rest is")
	}
}

func TestErrors(t *testing.T) {
	for want, args := range map[string][]string{
		"no experiment":            {"from-scratch"},
		"unexpected argument":      {"bias", "x"},
		"-corpus needs -eval":      {"bias", "-corpus", "x"},
		"no such file":             {"bias", "-corpus", "nowhere.jsonl", "-eval", "nowhere.jsonl"},
		"-size huge":               {"bias", "-size", "huge"},
		"-chunk 400":               {"bias", "-chunk", "400"},
		"-steps, -tokens":          {"bias", "-steps", "1", "-minutes", "1"},
		"only one of them":         {"bias", "-steps", "1", "-tokens", "1M"},
		`no margin "wide"`:         {"bias", "-margin", "wide"},
		"-language-temperature":    {"bias", "-language-temperature", "-1"},
		"-document-chunks -1":      {"from-random", "-document-chunks", "-1"},
		`no variant "beta 1"`:      {"bias", "-variants", "beta 1"},
		`learning rate of tiny`:    {"scaling", "-sizes", "tiny:fast"},
		"numbers must be positive": {"evidence", "-documents", "0"},
		"holds no checkpoint":      {"evidence", "-checkpoint", t.TempDir()},
		"-start: ":                 {"bias", "-start", t.TempDir()},
		"help requested":           {"bias", "-checkpoint", "x"}, // it does not evaluate alone
	} {
		args = append(args, "-out", t.TempDir())
		if want == "unexpected argument" {
			args = args[:2]
		}
		err := run(context.Background(), args, &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", args, err, want)
		}
	}
}

// Random shards are as many as those given, and do not depend on the run.
func TestResharded(t *testing.T) {
	e := &env{events: 300}
	shards := func(docs iter.Seq2[corpus.Document, error]) (of map[string]string, n int) {
		of, all := map[string]string{}, map[string]bool{}
		for doc, err := range docs {
			if err != nil {
				t.Fatal(err)
			}
			of[doc.ID], all[doc.Shard] = doc.Shard, true
		}
		return of, len(all)
	}
	_, given := shards(e.training())
	docs, err := e.resharded()
	if err != nil {
		t.Fatal(err)
	}
	first, n := shards(docs)
	if second, _ := shards(docs); given < 2 || n != given || !maps.Equal(first, second) {
		t.Errorf("%d random shards of %d", n, given)
	}
	apart := 0
	for id, shard := range first {
		if strings.HasSuffix(id, "/en") && first[strings.TrimSuffix(id, "en")+"de"] != shard {
			apart++
		}
	}
	if apart == 0 {
		t.Error("all translations stay in one shard")
	}
}

// Known links are those between equivalent chunks of translations.
func TestKnownLinks(t *testing.T) {
	doc := func(id, lang, group string) corpus.Document {
		return corpus.Document{ID: id, Lang: lang, Group: group, Text: "a text of two chunks"}
	}
	docs := []corpus.Document{doc("1", "de", "x"), doc("2", "en", "x"), doc("3", "en", "x"), doc("4", "fr", "y"),
		doc("5", "en", ""), doc("6", "de", "")}
	store, err := corpus.FromDocuments(docs, byteEncoder{}, corpus.BuildOptions{ChunkTokens: 12, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	var items []index.Item
	for _, i := range store.Shard(0) {
		c := store.Chunk(i)
		items = append(items, index.Item{Chunk: i, Lang: c.Lang, Source: c.Source, Target: c.Doc != 2})
	}
	pairs, err := knownLinks(store)(items, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := index.CheckPairs(pairs, items); err != nil {
		t.Error(err)
	}
	got := map[[2]int32]bool{}
	for _, p := range pairs {
		got[[2]int32{p.Target, p.Evidence}] = true
	}
	// Document d has the chunks 2d and 2d+1; the one with the id 3 is no target.
	want := map[[2]int32]bool{{0, 2}: true, {0, 4}: true, {1, 3}: true, {1, 5}: true, {2, 0}: true, {3, 1}: true}
	if !maps.Equal(got, want) {
		t.Errorf("links %v, want %v", got, want)
	}
}

// byteEncoder has a token for each byte.
type byteEncoder struct{}

func (byteEncoder) AppendEncode(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

// Settings that make the same training have the same hash, and those of
// before there was an option keep theirs.
func TestSettings(t *testing.T) {
	hash := func(args ...string) string {
		s := defaults()
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		s.flags(fs)
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		h, err := hashOf(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if a, b := hash("-tokens", "3M"), hash("-tokens", "3e6", "-margin", "none"); a != b {
		t.Errorf("3M and 3e6 tokens have the hashes %s and %s", a, b)
	}
	if hash("-tokens", "3M") == hash("-tokens", "4M") || hash() == hash("-margin", "ratio") ||
		hash() == hash("-per-target=false") {
		t.Error("other settings have the same hash")
	}
	if got := hash("-minutes", "60", "-pooling", "mean", "-lr", "1e-3", "-per-target=false"); got != "2838c54fc5" {
		t.Errorf("the hash of 60 minutes with g from the mean is %s: finished trainings would be repeated", got)
	}
	if got := hash("-tokens", "2.5M", "-precision", "bf16", "-backend", "cpu", "-tfidf-steps", "800",
		"-index-every", "700", "-probes", "3"); got != "457ac75173" {
		t.Errorf("the hash with products in bfloat16 is %s: finished trainings would be repeated", got)
	}
	if hash("-precision", "fp32") != hash() || hash("-backend", "cuda") == hash() ||
		hash("-backend", "cuda", "-precision", "bf16") == hash("-precision", "bf16") ||
		hash("-backend", "cuda", "-precision", "tf32") == hash("-backend", "cuda") {
		t.Error("the backend and its precision do not tell trainings apart")
	}
	s := defaults()
	s.Tokens, s.Accumulate = 10_240_000, 2
	if got := s.updates(0.1, 7); got != 500 {
		t.Errorf("a tenth of the updates is %d, want 500", got)
	}
	if s.pretrain(1, "").TargetTokens != s.Tokens {
		t.Error("the training does not end by tokens")
	}
}

func TestParsePairs(t *testing.T) {
	h := &heldout{langs: []string{"en", "pt-br", "de", "en"}}
	got, err := h.parsePairs("en-pt-br,pt-br-de")
	if want := []langPair{{"en", "pt-br"}, {"pt-br", "de"}}; err != nil || len(got) != 2 || got[0] != want[0] ||
		got[1] != want[1] {
		t.Errorf("pairs %v (%v), want %v", got, err, want)
	}
	if got, err = h.parsePairs(""); err != nil || len(got) != 4 || got[0] != (langPair{"de", "en"}) ||
		got[1] != (langPair{"en", "de"}) {
		t.Errorf("default pairs %v (%v)", got, err)
	}
	if _, err = h.parsePairs("en-fr"); err == nil {
		t.Error("no error for a language that is not there")
	}
}

func TestAligned(t *testing.T) {
	h := &heldout{meta: []eval.Doc{{Lang: "de", Group: "b"}, {Lang: "en", Group: "a"}, {Lang: "en", Group: "b"},
		{Lang: "de", Group: "c"}, {Lang: "de", Group: "a"}, {Lang: "de"}, {Lang: "en"}}}
	from, to := h.aligned(langPair{"en", "de"}, func(int) bool { return true })
	if len(from) != 2 || from[0] != 1 || to[0] != 4 || from[1] != 2 || to[1] != 0 {
		t.Errorf("aligned %v with %v, want [1 2] with [4 0]", from, to)
	}
	if from, _ = h.aligned(langPair{"en", "de"}, func(i int) bool { return i != 4 }); len(from) != 1 {
		t.Errorf("aligned %v, want the one with both", from)
	}
}

func TestOver(t *testing.T) {
	f := over([]figure{{0.2, eval.Interval{Low: 0.1, High: 0.3}}, {0.4, eval.Interval{Low: 0.25, High: 0.5}}},
		func(f figure) figure { return f })
	if math.Abs(f.Value-0.3) > 1e-15 || f.Range != (eval.Interval{Low: 0.1, High: 0.5}) {
		t.Errorf("figure of two models %v, want 0.300 [0.100, 0.500]", f)
	}
	for want, other := range map[string]figure{
		"above": {0, eval.Interval{Low: -0.1, High: 0.09}}, "below": {0.9, eval.Interval{Low: 0.6, High: 1}},
		"not clearly apart from": {0.2, eval.Interval{Low: 0.1, High: 0.2}},
	} {
		if got := compare(f, other); got != want {
			t.Errorf("%v is %q %v, want %q", f, got, other, want)
		}
	}
}
