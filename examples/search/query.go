package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/source"
)

// A passage is a hit as the program prints it, in JSON or for people.
type passage struct {
	ID    string   `json:"id"` // path of the file, of JSON Lines with '#' and the id of the line
	Lang  string   `json:"lang"`
	Score float32  `json:"score"`          // a cosine
	Loss  *float64 `json:"loss,omitempty"` // of the query given the passage, in nats per token, if hits are reranked
	Start int      `json:"start"`          // in characters of the document
	End   int      `json:"end"`
	Text  string   `json:"text"`
}

type request struct {
	Query  string `json:"query"`
	K      int    `json:"k"`    // 0: 10
	Lang   string `json:"lang"` // of the hits; empty: any
	Rerank bool   `json:"rerank"`
}

// find answers a request.
func find(ctx context.Context, m *marge.Model, x *marge.Index, r request) ([]passage, error) {
	o := marge.SearchOptions{K: r.K, Lang: r.Lang}
	if r.Rerank {
		o.K = max(4*r.K, 20)
	}
	hits, err := m.Search(ctx, r.Query, x, o)
	if err != nil {
		return nil, err
	}
	if r.Rerank {
		lang, _ := source.Identify(r.Query, m.Tokenizer.Languages())
		if lang == "" {
			return nil, errLanguage
		}
		if hits, err = m.Rerank(ctx, r.Query, lang, hits); err != nil {
			return nil, err
		}
		hits = hits[:min(len(hits), max(r.K, 1))]
	}
	passages := make([]passage, len(hits))
	for i, h := range hits {
		passages[i] = passage{ID: h.ID, Lang: h.Lang, Score: h.Relevance, Start: h.Start,
			End: h.Start + utf8.RuneCountInString(h.Text), Text: h.Text}
		if r.Rerank {
			passages[i].Loss = &h.Loss
		}
	}
	return passages, nil
}

var errLanguage = errors.New("the query is in no language that the model knows, which reranking needs")

func runQuery(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) error {
	r := request{}
	var dir, file string
	var asJSON bool
	f := flag.NewFlagSet("query", flag.ContinueOnError)
	f.StringVar(&dir, "index", "", "`directory` that search index made")
	f.IntVar(&r.K, "k", 5, "passages to print")
	f.StringVar(&r.Lang, "lang", "", "language of the passages, as in de or pt-BR (default: any)")
	f.BoolVar(&r.Rerank, "rerank", false, "order the best passages by how well the query can be reconstructed from each")
	f.StringVar(&file, "file", "", "`file` with the text to look for (- or nothing: standard input)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	var backend backends.Choice
	backend.Define(f)
	if err := parse(f, args, out); err != nil {
		return err
	}
	if r.K < 1 {
		return fmt.Errorf("-k %d: want at least 1", r.K)
	}
	var err error
	if r.Query, err = queryText(strings.Join(f.Args(), " "), file, in); err != nil {
		return err
	}
	b, err := backend.Open()
	if err != nil {
		return err
	}
	defer b.Close()
	x, m, err := open(dir, b)
	if err != nil {
		return err
	}
	defer x.Close()
	passages, err := find(ctx, m, x, r)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"query": r.Query, "hits": passages})
	}
	for i, p := range passages {
		score := fmt.Sprintf("%.3f", p.Score)
		if p.Loss != nil {
			score += fmt.Sprintf(" (loss %.3f)", *p.Loss)
		}
		text := strings.Join(strings.Fields(p.Text), " ")
		_, err := fmt.Fprintf(out, "%d. %s  %s  %s, characters %d to %d\n   %s\n",
			i+1, score, p.Lang, p.ID, p.Start, p.End, text)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxQuery bounds the text of a query, in bytes.
const maxQuery = 1 << 20

// queryText returns the text to look for.
func queryText(argument, file string, in io.Reader) (string, error) {
	if argument != "" && file != "" {
		return "", errors.New("a text and -file are given: leave out one of them")
	}
	text := argument
	if argument == "" {
		name := "standard input"
		if file != "" && file != "-" {
			f, err := os.Open(file)
			if err != nil {
				return "", fmt.Errorf("-file: %w", err)
			}
			defer f.Close()
			in, name = f, file
		}
		data, err := io.ReadAll(io.LimitReader(in, maxQuery+1))
		switch {
		case err != nil:
			return "", fmt.Errorf("%s: %w", name, err)
		case len(data) > maxQuery:
			return "", fmt.Errorf("%s is longer than %d bytes", name, maxQuery)
		}
		text = string(data)
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errors.New("there is no text to look for")
	case !utf8.ValidString(text):
		return "", errors.New("the text to look for is not UTF-8")
	}
	return text, nil
}
