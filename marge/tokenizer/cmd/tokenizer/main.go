// Command tokenizer trains a vocabulary on JSON Lines files, and encodes such
// files with it.
//
//	tokenizer train -vocab 8000 -o tokenizer.json a.jsonl.gz b.jsonl
//	tokenizer encode -tokenizer tokenizer.json a.jsonl.gz > ids.txt
//
// The files are those of package corpus: folders, globs and - for standard
// input too, plain or compressed. The languages of the vocabulary are those of
// the input, sorted. encode writes one line a document: its ids in decimal,
// separated by spaces.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	var err error
	switch os.Args[1] {
	case "train":
		err = train(os.Args[2:])
	case "encode":
		err = encode(os.Args[2:], os.Stdout)
	default:
		usage()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: tokenizer train|encode [flags] files.jsonl...\n"+
		"flags: tokenizer train -h, tokenizer encode -h")
	os.Exit(2)
}

func train(args []string) error {
	flags := flag.NewFlagSet("train", flag.ExitOnError)
	vocab := flags.Int("vocab", 16000, "number of tokens in all")
	min := flags.Int("min-frequency", 2, "how often a pair must occur to be merged")
	out := flags.String("o", "tokenizer.json", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	in, err := corpus.OpenInput(context.Background(), flags.Args(), "")
	if err != nil {
		return err
	}
	defer in.Close()
	docs := in.Documents(context.Background(), corpus.ReadOptions{})
	start := time.Now()
	languages := map[string]bool{}
	for doc, err := range docs {
		if err != nil {
			return err
		}
		languages[doc.Lang] = true
	}
	var readErr error
	texts := func(yield func(string) bool) {
		for doc, err := range docs {
			if readErr = err; err != nil || !yield(doc.Text) {
				return
			}
		}
	}
	t, err := tokenizer.Train(texts, tokenizer.TrainOptions{
		VocabSize:    *vocab,
		Languages:    slices.Sorted(maps.Keys(languages)),
		MinFrequency: *min,
	})
	if readErr != nil {
		return readErr
	}
	if err != nil {
		return err
	}
	if err := t.Save(*out); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %d tokens, %d languages, %.1f s\n", *out, t.VocabSize(), len(languages),
		time.Since(start).Seconds())
	return nil
}

func encode(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("encode", flag.ExitOnError)
	path := flags.String("tokenizer", "tokenizer.json", "vocabulary: a file or a folder that package tokenizer loads")
	lines := flags.Bool("lines", false, "encode every line of a text by itself; one line of output each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t, err := tokenizer.Load(*path)
	if err != nil {
		return err
	}
	_, lossless := t.(*tokenizer.BPE) // others normalise
	in, err := corpus.OpenInput(context.Background(), flags.Args(), "")
	if err != nil {
		return err
	}
	defer in.Close()
	out := bufio.NewWriterSize(w, 1<<20)
	var ids []int32
	var text []byte
	var bytes, characters, tokens int
	var encoding time.Duration
	for doc, err := range in.Documents(context.Background(), corpus.ReadOptions{}) {
		if err != nil {
			return err
		}
		parts := []string{doc.Text}
		if *lines {
			parts = strings.Split(doc.Text, "\n")
		}
		for _, part := range parts {
			start := time.Now()
			ids = t.AppendEncode(ids[:0], part)
			encoding += time.Since(start)
			bytes += len(part)
			characters += len([]rune(part))
			tokens += len(ids)
			if lossless && string(t.DecodeBytes(ids)) != part {
				return fmt.Errorf("tokenizer encode: %q does not come back from its ids", part)
			}
			text = text[:0]
			for i, id := range ids {
				if i > 0 {
					text = append(text, ' ')
				}
				text = strconv.AppendInt(text, int64(id), 10)
			}
			if _, err := out.Write(append(text, '\n')); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(os.Stderr, "%d tokens, %.2f characters a token, %.1f MB/s\n",
		tokens, float64(characters)/float64(tokens), float64(bytes)/1e6/encoding.Seconds())
	return out.Flush()
}
