package marge_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/tokenizer"
)

// ExampleFineTune teaches a model to tell reports about the weather from others.
// A model that has been pre-trained, as marge.Load reads it, takes the place of
// marge.New.
func ExampleFineTune() {
	weather := []string{"rain and wind", "storm over the sea", "sun after rain", "snow and wind", "wind over the sea"}
	sport := []string{"a goal and a win", "the team won", "win for the team", "a goal for the team", "the match was won"}
	var records []marge.Labeled
	for i := range weather {
		records = append(records, marge.Labeled{Text: weather[i], Lang: "en", Label: "weather"},
			marge.Labeled{Text: sport[i], Lang: "en", Label: "sport"})
	}
	config := tiny()
	texts := slices.Values(slices.Concat(weather, sport))
	tok, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"en"}})
	if err != nil {
		log.Fatal(err)
	}
	config.VocabSize = tok.VocabSize()
	model, err := marge.New(config)
	if err != nil {
		log.Fatal(err)
	}
	model.Tokenizer = tok

	ctx := context.Background()
	stats, err := marge.FineTune(ctx, model, marge.Classification{Train: records}, marge.FineTuneOptions{
		Epochs: 60, LearningRate: 1e-2, // with Dir, too: checkpoints, and the model at the end
	})
	if err != nil {
		log.Fatal(err)
	}
	found, err := model.Classify(ctx,
		marge.Labeled{Text: "snow and rain", Lang: "en"}, marge.Labeled{Text: "the team win", Lang: "en"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Steps, "updates:", found[0].Label, found[1].Label)
	// Output: 60 updates: weather sport
}

// Records are checked before training starts.
func ExampleFineTune_errors() {
	model, err := marge.New(tiny())
	if err != nil {
		log.Fatal(err)
	}
	texts := []string{"The bridge was opened in Kassel."}
	if model.Tokenizer, err = tokenizer.Train(slices.Values(texts),
		tokenizer.TrainOptions{VocabSize: 280, Languages: []string{"en"}}); err != nil {
		log.Fatal(err)
	}
	task := marge.SpanExtraction{Train: []marge.Question{{
		Question: "Where was the bridge opened?", Context: texts[0], Lang: "en", Where: "questions.json:17",
		Answers: []marge.Answer{{Text: "Kassel", Start: 21}},
	}}}
	_, err = marge.FineTune(context.Background(), model, task, marge.FineTuneOptions{Epochs: 1})
	fmt.Println(err)
	// Output:
	// fine-tune: Train[0] (questions.json:17): answer 0, "Kassel", is not in the context at character 21
}
