package marge_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
)

// Reports of three events, each in two languages, of one date: the evidence
// for a report is looked for among those of its date.
const reports = `
{"id": "1/en", "lang": "en", "date": "2020-06-26", "text": "The new bridge over the river Elbe was opened on Friday after nine years of work."}
{"id": "1/de", "lang": "de", "date": "2020-06-26", "text": "Nach neun Jahren Bauzeit wurde am Freitag die neue Brücke über die Elbe eröffnet."}
{"id": "2/en", "lang": "en", "date": "2020-06-26", "text": "Storm Petra left 4000 homes near Bremen without power, the mayor said."}
{"id": "2/de", "lang": "de", "date": "2020-06-26", "text": "Wegen des Sturms Petra waren bei Bremen 4000 Haushalte ohne Strom, so der Bürgermeister."}
{"id": "3/en", "lang": "en", "date": "2020-06-26", "text": "Anna Weber won the marathon of Kassel in 2 hours and 31 minutes."}
{"id": "3/de", "lang": "de", "date": "2020-06-26", "text": "Anna Weber gewann den Marathon in Kassel in 2 Stunden und 31 Minuten."}
`

// tiny is a model that trains a step in milliseconds.
func tiny() marge.Config {
	return marge.Config{
		VocabSize: 320, DModel: 16,
		EncoderLayers: 2, EncoderFFNDim: 32, EncoderAttentionHeads: 2, RetrievalLayers: 1,
		DecoderLayers: 1, DecoderFFNDim: 32, DecoderAttentionHeads: 2,
		MaxPositionEmbeddings: 128,
	}
}

// ExamplePretrain trains a model on a JSON Lines corpus. Where the corpus is in
// files, corpus.Files and corpus.Build take the place of corpus.ReadFrom and
// corpus.FromDocuments.
func ExamplePretrain() {
	var docs []corpus.Document
	_, err := corpus.ReadFrom("reports", strings.NewReader(reports), corpus.ReadOptions{},
		func(doc corpus.Document) error {
			docs = append(docs, doc)
			return nil
		})
	if err != nil {
		log.Fatal(err)
	}
	texts := func(yield func(string) bool) {
		for _, doc := range docs {
			if !yield(doc.Text) {
				return
			}
		}
	}
	config := tiny() // or marge.Tiny(), Small(), Base(), Paper()
	tok, err := tokenizer.Train(texts, tokenizer.TrainOptions{VocabSize: config.VocabSize,
		Languages: []string{"de", "en"}})
	if err != nil {
		log.Fatal(err)
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 100})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	config.VocabSize = tok.VocabSize()
	model, err := marge.New(config)
	if err != nil {
		log.Fatal(err)
	}
	model.Tokenizer = tok
	stats, err := marge.Pretrain(context.Background(), model, store, marge.PretrainOptions{Steps: 5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Steps, "steps,", stats.Indexes, "indexes")
	// Output: 5 steps, 2 indexes
}

// A document is most relevant to itself, whatever the weights.
func ExampleModel_Retrieve() {
	model, err := marge.New(tiny())
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	docs := [][]int32{{10, 11, 12}, {20, 21}, {30, 31, 32, 33}} // a tokenizer makes such ids of text
	index, err := model.NewIndex(ctx, docs, []string{"bridge", "storm", "marathon"})
	if err != nil {
		log.Fatal(err)
	}
	hits, err := model.Retrieve(ctx, []int32{20, 21}, index, 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.3f, of %d\n", hits[0].ID, hits[0].Relevance, len(hits))
	// Output: storm 1.000, of 3
}

// Texts are cut into passages, and found again by a text. With a model that has
// been trained, the query may be in another language.
func ExampleModel_Search() {
	texts := []string{
		"The ferry leaves at seven. In winter it does not run.",
		"Die Brücke ist wegen des Sturms gesperrt.",
	}
	docs := []corpus.Document{
		{ID: "ferry.txt", Lang: "en", Text: texts[0]},
		{ID: "bruecke.txt", Lang: "de", Text: texts[1]},
	}
	vocabulary := tokenizer.TrainOptions{VocabSize: 320, Languages: []string{"de", "en"}}
	tok, err := tokenizer.Train(slices.Values(texts), vocabulary)
	if err != nil {
		log.Fatal(err)
	}
	model, err := marge.New(tiny()) // or marge.Load("run"), which has a tokenizer
	if err != nil {
		log.Fatal(err)
	}
	model.Tokenizer = tok

	ctx := context.Background()
	index, err := model.NewIndex(ctx, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := index.Add(ctx, model, docs, marge.AddOptions{ChunkTokens: 24}); err != nil {
		log.Fatal(err)
	}
	hits, err := model.Search(ctx, "In winter it does not run.", index, marge.SearchOptions{K: 1, Lang: "en"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v, character %d: %s\n", hits[0], hits[0].Start, hits[0].Text)
	// Output: ferry.txt (1.000), character 27: In winter it does not run.
}

// A model is a directory of config.json, model.safetensors and tokenizer.json;
// parameters are named as in Hugging Face's models.
func ExampleModel_Parameters() {
	model, err := marge.New(marge.Tiny())
	if err != nil {
		log.Fatal(err)
	}
	params := model.Parameters()
	for _, p := range params[:3] {
		fmt.Println(p.Name, p.Shape())
	}
	fmt.Println("...", nn.Count(params), "values")
	// Output:
	// shared.weight [8000 128]
	// encoder.embed_positions.weight [256 128]
	// encoder.layernorm_embedding.weight [128]
	// ... 2874497 values
}

// A configuration that does not fit together is reported by its key.
func ExampleConfig_Validate() {
	config := marge.Small()
	config.EncoderAttentionHeads = 3
	fmt.Println(config.Validate())
	// Output: config: d_model 256 is not divisible by 3 encoder_attention_heads and 4 decoder_attention_heads
}

// ExampleModel_Encode turns texts into vectors of unit length, whose product is
// the relevance of one text to the other.
func ExampleModel_Encode() {
	texts := []string{"The bridge was opened on Friday.", "Am Freitag wurde die Brücke eröffnet."}
	config := tiny()
	tok, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{VocabSize: config.VocabSize})
	if err != nil {
		log.Fatal(err)
	}
	config.VocabSize = tok.VocabSize()
	model, err := marge.New(config) // or marge.Load(dir), which loads the tokenizer too
	if err != nil {
		log.Fatal(err)
	}
	model.Tokenizer = tok
	vectors, err := model.Encode(context.Background(), texts, marge.EncodeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	relevance := float32(0)
	for i, x := range vectors[0] {
		relevance += x * vectors[1][i]
	}
	fmt.Println(len(vectors), "vectors of", len(vectors[0]), "values, the relevance is in range:", relevance <= 1.0001)
	// Output: 2 vectors of 16 values, the relevance is in range: true
}
