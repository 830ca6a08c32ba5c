package marge_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/tokenizer"
)

// Greedy and beam search give the outputs of Hugging Face's generate for mBART, which
// MARGE is without base layers and with beta 0: bench/peers/generate_golden.py.
func TestGenerateIsHuggingFaces(t *testing.T) {
	dir := filepath.Join("testdata", "generate")
	data, err := os.ReadFile(filepath.Join(dir, "outputs.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Document []int32               `json:"document"`
		Suppress []int32               `json:"suppress"`
		Options  marge.GenerateOptions `json:"options"`
		Outputs  []struct {
			Tokens []int32  `json:"tokens"` // with </s>
			Score  *float64 `json:"score"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	isatest.Each(t, func(t *testing.T) {
		m, err := marge.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		finished := 0
		for _, c := range cases {
			o := c.Options
			const language = 4 // an ordinary token to a model without a tokenizer
			o.Suppress = append(c.Suppress, language)
			got, err := m.GenerateAllTokens(context.Background(),
				[]marge.TokenRequest{{Evidence: [][]int32{c.Document}, Language: language}}, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(got[0]) != len(c.Outputs) {
				t.Fatalf("%+v: %d outputs, want %d", o, len(got[0]), len(c.Outputs))
			}
			for i, want := range c.Outputs {
				out := got[0][i]
				tokens := slices.Clone(out.Tokens)
				if out.Finished {
					tokens = append(tokens, tokenizer.EOS)
					finished++
				}
				if !slices.Equal(tokens, want.Tokens) {
					t.Errorf("%+v: output %d is %v, want %v", o, i, tokens, want.Tokens)
				}
				if want.Score != nil && math.Abs(out.Score-*want.Score) > 1e-5 {
					t.Errorf("%+v: output %d has score %v, want %v", o, i, out.Score, *want.Score)
				}
			}
		}
		if len(cases) < 90 || finished < 40 {
			t.Errorf("%d cases, %d outputs that end", len(cases), finished)
		}
	})
}
