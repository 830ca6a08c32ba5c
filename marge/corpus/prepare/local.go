package prepare

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/corpus/source"
)

// Options says how a corpus is prepared. The zero value keeps running text in all
// languages.
type Options struct {
	Languages Languages
	Quality   Quality
	Shards    Shards
	// Lang is the language of text, Markdown and HTML that do not name one, as in
	// [source.Options]. MaxBytes is the length of the longest record, as there.
	Lang     string
	MaxBytes int

	// The rest does not change the result.

	// Threads is how many tasks run at once; 0 stands for GOMAXPROCS.
	Threads int
	// Memory is what sorting takes, in bytes, about: 0 stands for 1 GiB. Besides,
	// a thread needs some 10 MB, and what reading a file takes.
	Memory int64
	// Progress, if not nil, is called now and then, by one goroutine at a time.
	Progress func(Progress)

	partitions int   // into which records are divided
	splitBytes int64 // of files that are read as one task
}

// Progress says how far a run is.
type Progress struct {
	Step        string // such as "read"
	Number      int    // of the step, from 1
	Steps       int
	Done, Tasks int   // of the step
	Documents   int64 // or records, that went through the step since the run began
}

func (o Options) resolve() (Options, error) {
	if o.Threads < 0 || o.Memory < 0 || o.MaxBytes < 0 {
		return o, fmt.Errorf("prepare: negative option: Threads %d, Memory %d, MaxBytes %d",
			o.Threads, o.Memory, o.MaxBytes)
	}
	o.Threads = cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	o.Memory = cmp.Or(o.Memory, 1<<30)
	o.splitBytes = cmp.Or(o.splitBytes, 256<<20)
	if err := o.Languages.check(); err != nil {
		return o, err
	}
	if _, err := langtag.Canonical(o.Lang); o.Lang != "" && err != nil {
		return o, fmt.Errorf("prepare: Lang: %w", err)
	}
	var err error
	if o.Quality, err = o.Quality.resolve(); err != nil {
		return o, err
	}
	o.Shards, err = o.Shards.resolve()
	return o, err
}

// Names in the directory of a run.
const (
	ReportName = "report.json"
	ShardsName = "shards" // the folder of the files of the corpus
	workName   = ".work"
)

// MadeFrom is what a run that goes on must have in common with the one that
// began.
type MadeFrom struct {
	Version    int       `json:"version"` // of the rules
	Languages  Languages `json:"languages"`
	Quality    Quality   `json:"quality"`
	Shards     Shards    `json:"shards"`
	Lang       string    `json:"lang,omitempty"`
	MaxBytes   int       `json:"max_bytes"`
	Inputs     []Input   `json:"inputs"`
	Partitions int       `json:"partitions"` // into which records are divided
}

// version changes with the rules of the steps and the format of the files.
const version = 1

// Run prepares a corpus in directory dir: it reads the files that patterns stand
// for ([Expand]), and leaves in dir/shards files of JSON Lines, compressed with
// zstd, a file a shard, with documents in the order of their IDs, for
// corpus.Files. The report is left in dir/report.json.
//
// The files depend on the documents and the options, but not on the order of
// the inputs, on how documents are spread over them, or on threads and memory,
// as long as IDs do not: those of JSON Lines, web archives and dumps are in the
// files, that of a text is its path.
//
// The memory needed does not grow with the corpus: records are sorted on disk,
// in dir/.work, which takes some twice the size of the text, compressed, and 10
// kB for a document. Tables of items alone ([Expand]) are in memory, with 8 bytes
// for a page. A run that was killed goes on, when Run is called again,
// behind the last tasks that were finished; it is an error that names the
// difference if options or inputs are other ones then. Where a run was
// completed, its report is returned.
//
// Data that are damaged or no document are counted, and reading goes on. A file
// that cannot be read is an error, and so is a dir that holds anything else, or
// in which another process is at work.
func Run(ctx context.Context, dir string, patterns []string, o Options) (*Report, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	paths, err := Expand(patterns)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	inputs, err := statInputs(paths)
	if err != nil {
		return nil, err
	}
	p := &pipeline{dir: dir, o: o, wanted: MadeFrom{
		Version: version, Languages: o.Languages, Quality: o.Quality, Shards: o.Shards, Lang: o.Lang,
		MaxBytes: cmp.Or(o.MaxBytes, source.DefaultMaxBytes), Inputs: inputs,
	}}
	report, err := p.run(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("prepare: %w", err)
	}
	return report, err
}

// pipeline is a run.
type pipeline struct {
	dir    string
	o      Options
	wanted MadeFrom
	total  Counts
	items  itemTables

	mu       sync.Mutex // of progress
	progress Progress
}

func (p *pipeline) work(names ...string) string {
	return filepath.Join(append([]string{p.dir, workName}, names...)...)
}

func (p *pipeline) run(ctx context.Context) (*Report, error) {
	report, err := ReadReport(filepath.Join(p.dir, ReportName))
	if err == nil {
		if err := report.MadeFrom.check(p.wanted); err != nil {
			return nil, fmt.Errorf("%s holds a corpus: %w", p.dir, err)
		}
		return report, os.RemoveAll(p.work())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := begin(p.dir, ShardsName); err != nil {
		return nil, err
	}
	release, err := osfile.Hold(p.work("lock"))
	if err != nil {
		return nil, err
	}
	defer release()
	if err := p.resume(); err != nil {
		return nil, err
	}
	if err := p.steps(ctx); err != nil {
		return nil, err
	}
	report = &Report{Counts: p.total, MadeFrom: p.wanted}
	if err := report.write(p.dir); err != nil {
		return nil, err
	}
	return report, os.RemoveAll(p.work())
}

// begin makes dir, its folder for the work and another one, unless dir is used for
// something else.
func begin(dir, folder string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	work := filepath.Join(dir, workName)
	if _, err := os.Stat(work); len(entries) > 0 && err != nil {
		return &fs.PathError{Op: "prepare", Path: dir, Err: fs.ErrExist}
	}
	if err := os.MkdirAll(work, 0o777); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(dir, folder), 0o777)
}

// resume compares the state with that of the run that began, or begins one.
func (p *pipeline) resume() error {
	path := p.work("state.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		size := int64(0)
		for _, in := range p.wanted.Inputs {
			size += in.Bytes
		}
		// Parts of 64 MB of input: enough of them for the cores of a large machine.
		p.wanted.Partitions = cmp.Or(p.o.partitions, int(min(size>>26+1, 1024)))
		if data, err = json.Marshal(p.wanted); err != nil {
			return err
		}
		return osfile.WriteFile(path, data)
	}
	var begun MadeFrom
	if err == nil {
		err = json.Unmarshal(data, &begun)
	}
	if err != nil {
		return err
	}
	if err := begun.check(p.wanted); err != nil {
		return fmt.Errorf("%s holds a run that is not complete: %w", p.dir, err)
	}
	p.wanted = begun
	return nil
}

// check returns an error that tells what is wanted otherwise.
func (s MadeFrom) check(wanted MadeFrom) error {
	wanted.Partitions = s.Partitions
	for i := range min(len(s.Inputs), len(wanted.Inputs)) {
		if err := differ(fmt.Sprintf("input %d", i+1), s.Inputs[i], wanted.Inputs[i]); err != nil {
			return err
		}
	}
	return errors.Join(
		differ("the number of inputs", len(s.Inputs), len(wanted.Inputs)), differ("the version", s.Version, wanted.Version),
		differ("Languages", s.Languages, wanted.Languages), differ("Quality", s.Quality, wanted.Quality),
		differ("Shards", s.Shards, wanted.Shards), differ("Lang", s.Lang, wanted.Lang),
		differ("MaxBytes", s.MaxBytes, wanted.MaxBytes))
}

// differ returns an error if what is there is not what is wanted.
func differ(what string, is, wanted any) error {
	a, err := json.Marshal(is)
	if err != nil {
		return err
	}
	b, err := json.Marshal(wanted)
	if err != nil || string(a) == string(b) {
		return err
	}
	return fmt.Errorf("%s changed from %.500s to %.500s: remove the directory, or give another", what, a, b)
}

// A step is a number of tasks, which run at the same time.
type step struct {
	name  string
	tasks int
	// do reads what earlier steps left, and writes to dir.
	do func(ctx context.Context, task int, dir string, c *Counts) error
	// removes are steps whose files are not needed any more after this one.
	removes []string
}

// runStep runs the tasks that are not finished, and adds up what they counted.
func (p *pipeline) runStep(ctx context.Context, s step) error {
	done := p.work(s.name + ".json") // says that all are
	var counted Counts
	if err := readJSON(done, &counted); err == nil || !errors.Is(err, fs.ErrNotExist) {
		p.total.add(&counted)
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range min(p.o.Threads, s.tasks) {
		wg.Go(func() {
			for task := range todo {
				c, err := p.task(ctx, s, task)
				if err != nil {
					cancel(err) // the first counts
					continue
				}
				mu.Lock()
				counted.add(c)
				mu.Unlock()
				p.report(func(now *Progress) { now.Done++ })
			}
		})
	}
	for task := range s.tasks {
		select {
		case todo <- task:
		case <-ctx.Done():
		}
	}
	close(todo)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	data, err := json.Marshal(counted)
	if err != nil {
		return err
	}
	if err := osfile.WriteFile(done, data); err != nil {
		return err
	}
	p.total.add(&counted)
	return p.remove(s.removes)
}

func (p *pipeline) remove(steps []string) error {
	for _, name := range steps {
		if err := os.RemoveAll(p.work(name)); err != nil {
			return err
		}
	}
	return nil
}

// task runs a task, unless it is finished, and returns what it counted.
func (p *pipeline) task(ctx context.Context, s step, task int) (*Counts, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var c Counts
	path := p.taskDir(s.name, task)
	const name = "counts.json"
	err := readJSON(filepath.Join(path, name), &c)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return &c, err
	}
	return &c, osfile.CreateDir(path, func(dir string) error {
		if err := s.do(ctx, task, dir, &c); err != nil {
			return err
		}
		data, err := json.Marshal(&c)
		if err != nil {
			return err
		}
		return osfile.WriteFile(filepath.Join(dir, name), data)
	})
}

func (p *pipeline) taskDir(step string, task int) string {
	return p.work(step, fmt.Sprintf("%05d", task))
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// report calls Progress after a change.
func (p *pipeline) report(change func(now *Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.progress)
	if p.o.Progress != nil {
		p.o.Progress(p.progress)
	}
}
