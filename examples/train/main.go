// Train pre-trains a small model on the documents in reports.jsonl. It is the
// program that the README shows.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := train(ctx, "reports.jsonl", "run"); err != nil {
		log.Fatal(err)
	}
}

// train reads documents from a file, a folder or a pattern, and keeps all that
// it makes in dir. Called again, it goes on from there.
func train(ctx context.Context, documents, dir string) error {
	input, err := corpus.OpenInput(ctx, []string{documents}, "")
	if err != nil {
		return err
	}
	defer input.Close()
	docs := input.Documents(ctx, corpus.ReadOptions{})

	languages, err := corpus.Languages(docs)
	if err != nil {
		return err
	}
	var failure error
	vocabulary := tokenizer.TrainOptions{VocabSize: 8000, Languages: languages}
	tok, err := tokenizer.Train(corpus.Texts(docs, &failure), vocabulary)
	if err := errors.Join(failure, err); err != nil {
		return err
	}
	options := corpus.BuildOptions{ChunkTokens: 126}
	if options.Sources, err = input.Sources(ctx); err != nil {
		return err
	}
	store, err := corpus.OpenOrBuild(dir+"/corpus", docs, tok, options)
	if err != nil {
		return err
	}
	defer store.Close()

	config := marge.Tiny() // or Small(), Base(), Paper()
	config.VocabSize = tok.VocabSize()
	model, err := marge.New(config)
	if err != nil {
		return err
	}
	model.Tokenizer = tok
	stats, err := marge.Pretrain(ctx, model, store, marge.PretrainOptions{
		Steps: 5000, Dir: dir, Resume: true,
		OnStep: func(m marge.Metrics) error {
			if m.Step%10 == 0 {
				fmt.Printf("%.1f%%: step %d, loss %.3f\n", 100*m.Progress, m.Step, m.Loss)
			}
			return nil
		},
	})
	fmt.Println(stats) // when interrupted, too
	return err
}
