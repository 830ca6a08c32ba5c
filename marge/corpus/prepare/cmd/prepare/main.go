// Command prepare makes a corpus of files: it reads them, keeps running text,
// drops duplicates, and writes documents in shards, as JSON Lines.
//
//	prepare -out corpus -languages de,en news.warc.gz dewiki-pages-articles.xml.bz2 manuals/
//
// A run that was stopped goes on when the same command is given again. The
// corpus is in corpus/shards, and what came of the documents in
// corpus/report.html, report.txt and report.json.
//
// A recipe fetches texts instead, here of Debian's packages, and writes a file of
// JSON Lines for each collection, which can be trained on as it is:
//
//	prepare -recipe debian-manuals -out manuals
//
// With a trained model, the command index encodes and links the shards, for the
// program examples/search among others; see prepare.Index:
//
//	prepare index -checkpoint run -out index corpus/shards
//
// For engines that pipe lines through programs, a step reads standard input
// and writes standard output; see prepare.Pipe and spark/prepare.py:
//
//	prepare step minhash < documents > bands
//
// It writes what it counted to standard error, as a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/marge-go/marge/internal/flags"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/corpus/prepare"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// common are the flags of runs and of steps.
type common struct {
	languages     string
	groups, limit flags.Count
	lang          string
}

func (c *common) define(f *flag.FlagSet) {
	f.StringVar(&c.languages, "languages", "", "languages to keep, as de,en (default all)")
	f.StringVar(&c.lang, "lang", "", "language of text files that do not tell (default: identified)")
	f.Var(&c.groups, "groups", "number of shards that documents without date are spread over (default 1000)")
	f.Var(&c.limit, "max-shard", "characters above which a shard is cut into parts (default 40M)")
}

func (c *common) languagesKept() prepare.Languages {
	if c.languages == "" {
		return prepare.Languages{}
	}
	return prepare.Languages{Keep: strings.Split(c.languages, ",")}
}

func (c *common) shards() prepare.Shards {
	return prepare.Shards{Groups: int(c.groups), MaxCharacters: int64(c.limit)}
}

func run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) error {
	if len(args) > 0 && args[0] == "step" {
		return step(ctx, args[1:], in, out, messages)
	}
	if len(args) > 0 && args[0] == "index" {
		return makeIndex(ctx, args[1:], out, messages)
	}
	f := flag.NewFlagSet("prepare", flag.ContinueOnError)
	f.SetOutput(messages)
	f.Usage = func() {
		fmt.Fprintln(messages, "usage: prepare -out DIRECTORY [flags] INPUT...\n"+
			"       prepare -out DIRECTORY -recipe NAME\n"+
			"       prepare index -out DIRECTORY -checkpoint DIRECTORY [flags] SHARDS...\n       prepare step NAME [flags]")
		f.PrintDefaults()
	}
	var c common
	c.define(f)
	dir := f.String("out", "", "directory of the corpus")
	recipe := f.String("recipe", "", "texts to fetch: "+strings.Join(slices.Sorted(maps.Keys(prepare.Recipes)), ", "))
	threads := f.Int("threads", 0, "tasks at once (default: the number of cores)")
	memory := flags.Count(1 << 30)
	f.Var(&memory, "memory", "bytes that sorting takes, about")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *dir == "" || (f.NArg() == 0) == (*recipe == "") {
		f.Usage()
		return errors.New("prepare: -out and either inputs or -recipe are needed")
	}
	if *recipe != "" {
		fetch := prepare.Recipes[*recipe]
		if fetch == nil {
			return fmt.Errorf("prepare: no recipe %q", *recipe)
		}
		return fetch(ctx, *dir, func(line string) { fmt.Fprintln(messages, line) })
	}
	show := &display{out: messages, what: "documents or records"}
	report, err := prepare.Run(ctx, *dir, f.Args(), prepare.Options{
		Languages: c.languagesKept(), Shards: c.shards(), Lang: c.lang, Threads: *threads, Memory: int64(memory),
		Progress: show.progress,
	})
	if ctx.Err() != nil {
		return fmt.Errorf("prepare: stopped; the same command goes on: %w", err)
	}
	if err != nil {
		return err
	}
	html, err := page(report)
	if err == nil {
		err = osfile.WriteFile(filepath.Join(*dir, "report.html"), html)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, report)
	return err
}

// display writes a line of progress now and then.
type display struct {
	out  io.Writer
	what string // is counted
	last time.Time
	step string
}

func (d *display) progress(p prepare.Progress) {
	if p.Step == d.step && time.Since(d.last) < 5*time.Second {
		return
	}
	d.step, d.last = p.Step, time.Now()
	fmt.Fprintf(d.out, "step %d of %d, %s: %d of %d tasks, %d %s\n",
		p.Number, p.Steps, p.Step, p.Done, p.Tasks, p.Documents, d.what)
}

func step(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) (err error) {
	if len(args) == 0 {
		return fmt.Errorf("prepare: which step? One of %s", strings.Join(prepare.PipeSteps(), ", "))
	}
	f := flag.NewFlagSet("prepare step "+args[0], flag.ContinueOnError)
	f.SetOutput(messages)
	var c common
	c.define(f)
	var x indexFlags
	x.define(f)
	dir := f.String("out", "", "directory of the files of shards, for write, or of the index, for encode and link")
	parts := f.String("parts", "", "file that the step parts wrote, for the step shard")
	means := f.String("means", "", "file that the step means wrote, for the step link")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("prepare: a step reads standard input, not %q", f.Arg(0))
	}
	if slices.Contains([]string{"write", "encode", "link"}, args[0]) && *dir == "" {
		return fmt.Errorf("prepare: the step %s needs -out", args[0])
	}
	o := prepare.PipeOptions{Languages: c.languagesKept(), Shards: c.shards(), Lang: c.lang, Dir: *dir}
	if o.Index, err = x.options(); err != nil {
		return err
	}
	for _, more := range []struct {
		path string
		to   *io.Reader
	}{{*parts, &o.Parts}, {*means, &o.Means}} {
		if more.path == "" {
			continue
		}
		file, err := os.Open(more.path)
		if err != nil {
			return err
		}
		defer file.Close()
		*more.to = file
	}
	counts, err := prepare.Pipe(ctx, args[0], o, in, out)
	if err != nil {
		return err
	}
	return json.NewEncoder(messages).Encode(counts)
}
