// Search finds passages in documents of your own, in any language that the model
// knows, whatever the language of the query.
//
//	go run ./examples/search index -out manuals.index manuals/ news.jsonl.gz
//	go run ./examples/search query -index manuals.index when does the ferry leave
//	go run ./examples/search serve -index manuals.index
//
// index reads JSON Lines, text, Markdown, HTML, web archives (WARC), dumps of
// MediaWiki and translations (PO, XLIFF, TMX), cuts documents into passages and
// encodes them with a model: that of -checkpoint, or one that it first trains on
// these very documents, without labels and without pairs. If it is stopped, or
// run again with files that have changed, what was encoded stays.
//
// serve answers over HTTP: POST /v1/embeddings as OpenAI does, POST /search,
// POST /generate and GET /healthz, and has a page to search on.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/marge-go/marge/examples/internal/program"
)

const usage = `usage: search index -out INDEX [flags] FILES...   make or update an index of files and folders
       search query -index INDEX [flags] TEXT     print the passages that are most relevant to a text
       search serve -index INDEX [flags]          answer over HTTP
search COMMAND -h lists the flags of a command.
`

func main() {
	ctx, stop := program.Interrupted()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "search: "+strings.TrimPrefix(err.Error(), "search: "))
		os.Exit(1)
	}
}

// run runs a command.
func run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) error {
	commands := map[string]func(context.Context, []string, io.Reader, io.Writer, io.Writer) error{
		"index": runIndex, "query": runQuery, "serve": runServe,
	}
	if len(args) == 0 {
		return errors.New("no command is given\n" + strings.TrimSpace(usage))
	}
	command := commands[args[0]]
	if command == nil {
		if args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
			_, err := io.WriteString(out, usage)
			return err
		}
		return fmt.Errorf("there is no command %q\n%s", args[0], strings.TrimSpace(usage))
	}
	err := command(ctx, args[1:], in, out, messages)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

// parse reads flags. With -h it prints them and returns flag.ErrHelp.
func parse(f *flag.FlagSet, args []string, out io.Writer) error {
	f.SetOutput(io.Discard) // errors are returned
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(out)
		f.PrintDefaults()
	}
	return err
}
