package prepare

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// IndexOptions says how an index of a corpus is made.
type IndexOptions struct {
	// Checkpoint is the directory of a model or of its training, see marge.Load.
	Checkpoint string
	// Chunks says how documents are cut, as they are for training. ChunkTokens 0 stands
	// for what the model was trained on; Sources are ignored.
	Chunks corpus.BuildOptions
	// Links says which links a target has, as in marge.PretrainOptions: none in its own
	// language and its best 5 in others if both numbers are zero.
	Links index.LinkOptions
	// Vectors is how the index keeps vectors. Links are made of float32 in any case.
	Vectors index.Precision

	// Backend is where to encode; nil stands for the processor, with all its threads.
	// Threads change nothing in the result, another instruction set how it is rounded.
	Backend tensor.Backend
	// Progress, if not nil, is called now and then. A task is a shard.
	Progress func(Progress)
}

func (o IndexOptions) resolve() (IndexOptions, error) {
	if o.Links.Mono == 0 && o.Links.Cross == 0 {
		o.Links.Cross, o.Links.PerTarget = 5, true
	}
	if err := o.Links.Validate(); err != nil {
		return o, fmt.Errorf("links: %w", err)
	}
	if math.Round(o.Links.Mono)+math.Round(o.Links.Cross) == 0 && o.Links.PerTarget {
		return o, fmt.Errorf("links: Mono %v and Cross %v round to no link of a target", o.Links.Mono, o.Links.Cross)
	}
	if o.Backend == nil {
		o.Backend = tensor.NewCPU(0)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o, nil
}

// Names in the directory of an index.
const (
	IndexReportName = "index.json"
	PassagesName    = "passages.index" // for marge.OpenIndex
	LinksName       = "links"          // the folder of the links
	modelName       = "model"
)

// IndexMadeFrom is what two calls of Index must have in common to make the same.
type IndexMadeFrom struct {
	Version  int               `json:"version"` // of the rules
	Encoding Encoding          `json:"encoding"`
	Links    index.LinkOptions `json:"links"`
	Shards   []ShardFile       `json:"shards"`
}

const indexVersion = 1

// ShardFile is a file that holds a shard.
type ShardFile struct {
	File   string `json:"file"`   // without its folder
	SHA256 string `json:"sha256"` // of its bytes, in hexadecimal
}

// IndexReport says what is in an index. ChunkTokens and Vectors are what the program
// examples/search reads of it.
type IndexReport struct {
	ChunkTokens int              `json:"chunk_tokens"`
	Vectors     string           `json:"vectors"` // their precision
	Documents   int              `json:"documents"`
	Chunks      int              `json:"chunks"` // passages of the index
	Tokens      int64            `json:"tokens"`
	Languages   map[string]int64 `json:"languages"` // chunks
	LinkCounts
	MadeFrom IndexMadeFrom `json:"made_from"`
}

// String returns the figures as a text of several lines.
func (r *IndexReport) String() string {
	var b strings.Builder
	p := message.NewPrinter(language.English) // puts commas into numbers
	line := func(n int64, what string) { p.Fprintf(&b, "%15d  %s\n", n, what) }
	line(int64(len(r.MadeFrom.Shards)), "shards")
	line(int64(r.Documents), "documents")
	line(r.Tokens, "tokens")
	line(int64(r.Chunks), "chunks")
	for _, lang := range slices.Sorted(maps.Keys(r.Languages)) {
		line(r.Languages[lang], "  "+lang)
	}
	line(int64(r.Targets), "targets")
	line(int64(r.Unlinked), "  without a link")
	line(int64(r.Links), "links")
	line(int64(r.Cross), "  between languages")
	return b.String()
}

// Index makes an index of a corpus: it encodes the chunks of all shards with g of a
// trained model, links each shard as training does (arXiv:2006.15020, section 2.4),
// with the means of languages over all shards taken off, and leaves in dir
//
//	passages.index  vectors, texts and tokens of all chunks, for marge.OpenIndex
//	links           a file of links for each shard, see Link, and its counts as JSON
//	model           the model
//	index.json      the report
//
// so that dir is an index for the program examples/search too. The patterns are those
// of corpus.Files, and each file is a shard as Run writes them (dir/shards): a file
// with documents of several shards, a shard in two files and an ID that comes twice in
// one are errors, and so is a language that the model's tokenizer lacks.
//
// The result depends on the documents, the model and the options, and neither on
// threads nor on the order of the files. Shards are encoded and linked one after the
// other. The memory needed is that of the model and of the largest shard, the vectors
// of which are in memory twice when it is linked.
//
// What was done of an index stays in dir/.work, from which Index goes on when it is
// called again; files of the work that other engines did with the steps of [Pipe] are
// taken as they are. It is an error that names the difference if documents, model or
// options are other ones then. Where an index is complete, its report is returned.
func Index(ctx context.Context, dir string, patterns []string, o IndexOptions) (*IndexReport, error) {
	report, err := makeIndex(ctx, dir, patterns, o)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("prepare: index: %w", err)
	}
	return report, err
}

func makeIndex(ctx context.Context, dir string, patterns []string, o IndexOptions) (*IndexReport, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	files, err := shardFilesOf(patterns)
	if err != nil {
		return nil, err
	}
	e, err := newEncoder(&o)
	if err != nil {
		return nil, err
	}
	x := &indexing{dir: dir, o: o, files: files, encoder: e, means: means{}}
	return x.run(ctx)
}

// shardFilesOf returns the files that patterns stand for, in the order of their names.
func shardFilesOf(patterns []string) ([]string, error) {
	files, err := corpus.Expand(patterns)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there are no files of shards")
	}
	slices.SortFunc(files, func(a, b string) int {
		return cmp.Or(cmp.Compare(partName(a), partName(b)), cmp.Compare(a, b))
	})
	for i := range files[1:] {
		if a, b := files[i], files[i+1]; partName(a) == partName(b) {
			return nil, fmt.Errorf("%s and %s have the same name", a, b)
		}
	}
	return files, nil
}

// indexing is a call of Index.
type indexing struct {
	dir     string
	o       IndexOptions
	files   []string // of shards
	encoder *encoder

	means    means
	report   IndexReport
	progress Progress
}

func (x *indexing) run(ctx context.Context) (*IndexReport, error) {
	work := filepath.Join(x.dir, workName)
	if err := readJSON(filepath.Join(x.dir, IndexReportName), &x.report); err == nil {
		if err := x.check(); err != nil {
			return nil, fmt.Errorf("%s holds an index: %w", x.dir, err)
		}
		return &x.report, os.RemoveAll(work)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := begin(x.dir, LinksName); err != nil {
		return nil, err
	}
	release, err := osfile.Hold(filepath.Join(work, "lock"))
	if err != nil {
		return nil, err
	}
	defer release()
	for _, step := range []func(context.Context) error{x.encode, x.link, x.merge} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &x.report, os.RemoveAll(work)
}

// check compares what an index was made from with what is wanted.
func (x *indexing) check() error {
	is := x.report.MadeFrom
	for i, file := range x.files {
		shard, err := shardFileOf(file)
		if err != nil {
			return err
		}
		if i < len(is.Shards) && is.Shards[i] != shard {
			return differ(fmt.Sprintf("shard %d", i+1), is.Shards[i], shard)
		}
	}
	return errors.Join(differ("the version", is.Version, indexVersion), is.Encoding.check(x.encoder.made),
		differ("the number of shards", len(is.Shards), len(x.files)), differ("Links", is.Links, x.o.Links),
		differ("Vectors", x.report.Vectors, x.o.Vectors.String()))
}

// step begins a step.
func (x *indexing) step(name string, number, tasks int) {
	x.progress = Progress{Step: name, Number: number, Steps: 3, Tasks: tasks}
	x.o.Progress(x.progress)
}

// done ends a task of a step.
func (x *indexing) done(p *part) {
	x.progress.Done++
	x.progress.Documents += int64(p.Documents)
	x.o.Progress(x.progress)
}

// encode makes the parts, and adds up what is in them.
func (x *indexing) encode(ctx context.Context) error {
	x.step("encode", 1, len(x.files))
	r := &x.report
	r.ChunkTokens, r.Vectors, r.Languages = x.encoder.made.ChunkTokens, x.o.Vectors.String(), map[string]int64{}
	r.MadeFrom = IndexMadeFrom{Version: indexVersion, Encoding: x.encoder.made, Links: x.o.Links}
	files := map[string]string{} // by shard
	for _, file := range x.files {
		p, err := x.encoder.part(ctx, x.dir, file)
		if err != nil {
			return err
		}
		if other, ok := files[p.Shard]; ok {
			return fmt.Errorf("shard %q is in %s and in %s: a shard is one file, as Run makes it", p.Shard, other, file)
		}
		files[p.Shard] = file
		if err := x.means.addPart(p); err != nil {
			return err
		}
		r.Documents += p.Documents
		r.Chunks += p.Chunks
		r.Tokens += p.Tokens
		for lang, sum := range p.Languages {
			r.Languages[lang] += sum.Count
		}
		r.MadeFrom.Shards = append(r.MadeFrom.Shards, p.ShardFile)
		x.done(p)
	}
	return nil
}

func (x *indexing) link(ctx context.Context) error {
	x.step("link", 2, len(x.files))
	l := linker{dir: x.dir, means: x.means, sum: x.means.sum(), links: x.o.Links, run: x.encoder.model.Runner()}
	for _, file := range x.files {
		p, err := readPart(x.dir, file)
		if err != nil {
			return err
		}
		counts, err := l.part(ctx, p)
		if err != nil {
			return err
		}
		x.report.LinkCounts.add(counts)
		x.done(p)
	}
	return nil
}

// merge writes the index, the model and, as the last, the report.
func (x *indexing) merge(ctx context.Context) error {
	x.step("merge", 3, 1)
	var paths []string
	for _, file := range x.files {
		paths = append(paths, vectorsPath(x.dir, file))
	}
	if err := index.Merge(ctx, filepath.Join(x.dir, PassagesName), paths, x.o.Vectors); err != nil {
		return err
	}
	if err := x.encoder.model.Save(filepath.Join(x.dir, modelName)); err != nil {
		return err
	}
	data, err := json.MarshalIndent(&x.report, "", "\t")
	if err != nil {
		return err
	}
	return osfile.WriteFile(filepath.Join(x.dir, IndexReportName), append(data, '\n'))
}
