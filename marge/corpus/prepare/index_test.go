package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// multilingual returns documents in three languages, of shards, with sources and with
// characters of several bytes.
func multilingual(seed uint64, n int) (docs []corpus.Document) {
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		lang := []string{"en", "de", "pt-BR"}[r.IntN(3)]
		text := prose(r, 60+r.IntN(120))
		if lang == "de" {
			text = strings.ReplaceAll(text, "mu", "mü")
		}
		doc := corpus.Document{ID: fmt.Sprintf("%d/%s", i*7919%n, lang), Lang: lang, Text: text}
		if i%5 == 0 {
			doc.Source = fmt.Sprintf("source %d", r.IntN(4))
		}
		if doc.Shard = fmt.Sprintf("shard %d", r.IntN(3)); i%7 == 0 {
			doc.Shard, doc.Date = "", "2020-06-26"
		}
		docs = append(docs, doc)
	}
	return docs
}

// checkpoint saves a random model with a tokenizer for languages and returns its
// directory.
func checkpoint(t testing.TB, seed uint64, languages ...string) string {
	t.Helper()
	texts := func(yield func(string) bool) {
		for _, doc := range multilingual(seed, 50) {
			if !yield(doc.Text) {
				return
			}
		}
	}
	tok, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: 300, Languages: languages})
	if err != nil {
		t.Fatal(err)
	}
	c := marge.Tiny()
	c.VocabSize, c.DModel, c.EncoderFFNDim, c.DecoderBaseFFNDim, c.DecoderFFNDim = tok.VocabSize(), 32, 48, 48, 48
	c.EncoderLayers, c.RetrievalLayers, c.DecoderLayers, c.MaxPositionEmbeddings = 2, 1, 1, 48
	c.RetrievalPooling, c.RetrievalDim, c.ChunkTokens, c.Seed, c.Dropout = marge.PoolMax, 24, 40, seed, 0
	m, err := marge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shardsOf runs Run over documents in a number of files, and returns the files of the
// shards.
func shardsOf(t testing.TB, docs []corpus.Document, files int, o Options) string {
	t.Helper()
	in, out := t.TempDir(), t.TempDir()
	for k := range files {
		writeLines(t, filepath.Join(in, fmt.Sprintf("%d.jsonl", k)), docs[k*len(docs)/files:(k+1)*len(docs)/files])
	}
	if _, err := Run(t.Context(), out, []string{in}, o); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, ShardsName)
}

// contents returns the files below a directory.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantFiles(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Errorf("%s: files %q, want %q", what, a, b)
	}
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s: %s is another", what, name)
		}
	}
}

func mustIndex(t testing.TB, dir, shards string, o IndexOptions) *IndexReport {
	t.Helper()
	r, err := Index(t.Context(), dir, []string{shards}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readLinks returns the lines of files of links.
func readLinks(t testing.TB, dir string) (links []Link) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, LinksName, "*.jsonl.zst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := zstd.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		last := math.Inf(1)
		for d := json.NewDecoder(z); d.More(); {
			var l Link
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			if float64(l.Score) > last {
				t.Errorf("%s: the score %v comes after %v", file, l.Score, last)
			}
			last = float64(l.Score)
			links = append(links, l)
		}
	}
	return links
}

// trainingLinks returns the links that a training finds at its start.
func trainingLinks(t testing.TB, shards string, o IndexOptions) (links []Link) {
	t.Helper()
	m, err := marge.Load(o.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	files := corpus.Files([]string{shards}, corpus.ReadOptions{})
	o.Chunks.ChunkTokens = 40 // those of the model
	store, err := corpus.Build(filepath.Join(t.TempDir(), "store"), files, m.Tokenizer, o.Chunks)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = marge.Pretrain(t.Context(), m, store, marge.PretrainOptions{
		Steps: 1, TFIDFSteps: -1, Links: o.Links,
		OnLinks: func(items []index.Item, pairs []index.Pair) ([]index.Pair, error) {
			for _, p := range pairs {
				a, b := store.Chunk(items[p.Target].Chunk), store.Chunk(items[p.Evidence].Chunk)
				links = append(links, Link{store.DocumentID(a.Doc), a.Index, store.DocumentID(b.Doc), b.Index, p.Score})
			}
			return pairs, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

// The index is that of training, in the texts, the vectors and the links, and has the
// same bytes whatever the threads, the order and the division of the inputs.
func TestIndex(t *testing.T) {
	docs, model := multilingual(3, 150), checkpoint(t, 7, "en", "de", "pt-BR")
	shards := shardsOf(t, docs, 1, Options{Threads: 1})
	for i, o := range []IndexOptions{{}, {
		Links:  index.LinkOptions{Mono: 2.5, Cross: 3},
		Chunks: corpus.BuildOptions{FirstChunkTargets: true, MaxChunks: 2},
	}} {
		out := t.TempDir()
		o.Checkpoint, o.Backend = model, tensor.NewCPU(1)
		report := mustIndex(t, out, shards, o)
		want := contents(t, out)
		got, training := readLinks(t, out), trainingLinks(t, shards, o)
		if targets := []int{report.Chunks, len(docs)}[i]; report.Targets != targets || len(got) != report.Links ||
			report.Links != len(training) || report.Links < report.Chunks {
			t.Errorf("%d links, %d counted, %d of training, of %d chunks", len(got), report.Links, len(training), report.Chunks)
		}
		scores := map[Link]float32{}
		for _, l := range training {
			score := l.Score
			l.Score = 0
			scores[l] = score
		}
		cross := 0
		for _, l := range got {
			score := l.Score
			l.Score = 0
			if s, ok := scores[l]; !ok || math.Abs(float64(s-score)) > 1e-6 {
				t.Errorf("link %+v of score %v is none of training, or has there score %v", l, score, s)
			}
			if a, b := l.Target[strings.Index(l.Target, "/"):], l.Evidence[strings.Index(l.Evidence, "/"):]; a != b {
				cross++
			}
		}
		if cross != report.Cross || cross == 0 || (cross < len(got)) != (i == 1) {
			t.Errorf("%d of %d links are between languages, %d counted", cross, len(got), report.Cross)
		}
		checkIndex(t, out, docs, model, report)
		if i > 0 {
			continue
		}
		for files, threads := range map[int]int{3: 3, 7: 2} {
			rand.New(rand.NewPCG(uint64(files), 1)).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
			split := shardsOf(t, docs, files, Options{Threads: threads, partitions: files})
			out := t.TempDir()
			o.Backend = tensor.NewCPU(threads)
			paths, err := corpus.Expand([]string{split})
			if err != nil {
				t.Fatal(err)
			}
			slices.Reverse(paths)
			if _, err := Index(t.Context(), out, paths, o); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, fmt.Sprintf("%d threads", threads), contents(t, out), want)
		}
	}
}

// checkIndex compares an index with what it is made of.
func checkIndex(t *testing.T, dir string, docs []corpus.Document, checkpoint string, report *IndexReport) {
	t.Helper()
	m, err := marge.Load(filepath.Join(dir, modelName))
	if err != nil {
		t.Fatal(err)
	}
	x, err := marge.OpenIndex(filepath.Join(dir, PassagesName))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := errors.Join(x.Verify(), x.CheckModel(m)); err != nil {
		t.Error(err)
	}
	if x.Len() != report.Chunks || report.Documents != len(docs) || report.Chunks < 2*len(docs) {
		t.Errorf("%d chunks in the index, %d counted; %d of %d documents",
			x.Len(), report.Chunks, report.Documents, len(docs))
	}
	if was, err := marge.Load(checkpoint); err != nil || was.RetrievalFingerprint() != m.RetrievalFingerprint() {
		t.Errorf("the model is another, error %v", err)
	}
	byID := map[string]corpus.Document{}
	for _, doc := range docs {
		byID[doc.ID] = doc
	}
	languages, tokens, number := map[string]int64{}, int64(0), 0
	for i := range x.Len() {
		p, doc := x.Passage(i), byID[x.ID(i)]
		if number++; i == 0 || x.ID(i-1) != p.ID {
			number = 0
		}
		languages[p.Lang]++
		tokens += int64(len(x.Document(i)))
		all := m.Tokenizer.Encode(doc.Text)
		if ids := x.Document(i); p.Lang != doc.Lang || !slices.Equal(ids, all[number*40:number*40+len(ids)]) {
			t.Errorf("passage %d, chunk %d of %q, in %s, has the tokens %v", i, number, p.ID, p.Lang, ids)
		}
		if runes := []rune(doc.Text)[p.Start:]; !strings.HasPrefix(string(runes), p.Text) ||
			math.Abs(float64(len(p.Text)-len(m.Tokenizer.Decode(x.Document(i))))) > 4 || strings.TrimSpace(p.Text) != p.Text {
			t.Errorf("passage %d, from %d of %q, is %q", i, p.Start, p.ID, p.Text)
		}
		vector, err := m.Embed(t.Context(), [][]int32{x.Document(i)})
		if err != nil || !slices.Equal(vector, x.Vector(i)) {
			t.Fatalf("passage %d has another vector, error %v", i, err)
		}
	}
	if !maps.Equal(languages, report.Languages) || tokens != report.Tokens || len(languages) != 3 {
		t.Errorf("languages %v, %d tokens; counted %v, %d", languages, tokens, report.Languages, report.Tokens)
	}
}

// Where an index is interrupted it goes on, and nothing is made twice; what it may not
// go on with is an error.
func TestIndexResume(t *testing.T) {
	docs, model := multilingual(4, 60), checkpoint(t, 7, "en", "de", "pt-BR")
	shards := shardsOf(t, docs, 1, Options{Threads: 1})
	o := IndexOptions{Checkpoint: model, Vectors: index.Int8}
	whole := t.TempDir()
	report := mustIndex(t, whole, shards, o)
	want := contents(t, whole)

	out := t.TempDir()
	wantError := func(what string, change func(o *IndexOptions), patterns ...string) {
		t.Helper()
		other := o
		if change != nil {
			change(&other)
		}
		if patterns == nil {
			patterns = []string{shards}
		}
		if _, err := Index(t.Context(), out, patterns, other); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want one with %q", err, what)
		}
	}
	interrupt := func(step string, done int) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		other := o
		other.Progress = func(p Progress) {
			if p.Step == step && p.Done == done {
				cancel()
			}
		}
		if _, err := Index(ctx, out, []string{shards}, other); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
	}
	otherModel := checkpoint(t, 8, "en", "de", "pt-BR")
	rounded, err := tensor.NewCPUWith(tensor.CPUOptions{Precision: tensor.BFloat16, Slow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer rounded.Close()
	changes := func() {
		t.Helper()
		wantError("the checkpoint changed from", func(o *IndexOptions) { o.Checkpoint = otherModel })
		wantError("ChunkTokens changed from 40 to 20", func(o *IndexOptions) { o.Chunks.ChunkTokens = 20 })
		wantError("MaxChunks changed from 0 to 3", func(o *IndexOptions) { o.Chunks.MaxChunks = 3 })
		wantError("the instruction set or precision changed from", func(o *IndexOptions) { o.Backend = rounded })
	}
	interrupt("encode", 2)
	part := filepath.Join(out, workName, "2020-06-26.json")
	before, err := os.Stat(part)
	if err != nil {
		t.Fatal(err)
	}
	changes()
	release, err := osfile.Hold(filepath.Join(out, workName, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	wantError("is held by process", nil)
	release()
	interrupt("link", 1)
	if after, err := os.Stat(part); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("a part is made twice, error %v", err)
	}
	wantError("Links changed from", func(o *IndexOptions) { o.Links.Cross = 2 })
	paths, err := corpus.Expand([]string{shards})
	if err != nil {
		t.Fatal(err)
	}
	wantError("the sum of the means of languages changed from", nil, paths[:2]...)
	if got := mustIndex(t, out, shards, o); got.String() != report.String() {
		t.Errorf("report\n%v, want\n%v", got, report)
	}
	wantFiles(t, "gone on", contents(t, out), want)

	// Complete.
	if got := mustIndex(t, out, shards, o); got.String() != report.String() {
		t.Errorf("report\n%v, want\n%v", got, report)
	}
	changes()
	wantError("Links changed from", func(o *IndexOptions) { o.Links.Cross = 2 })
	wantError("Vectors changed from", func(o *IndexOptions) { o.Vectors = index.BFloat16 })
	wantError("the number of shards changed from 4 to 3", nil, paths[:3]...)
	wantFiles(t, "after errors", contents(t, out), want)
	data, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), filepath.Base(paths[1]))
	if err := os.WriteFile(moved, append(data, data...), 0o666); err != nil {
		t.Fatal(err)
	}
	wantError("shard 2 changed from", nil, paths[0], moved, paths[2], paths[3])
	if _, err := Index(t.Context(), shards, []string{shards}, o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory with other files: %v", err)
	}
}
