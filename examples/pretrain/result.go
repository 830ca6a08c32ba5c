package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/nn"
)

// result holds every figure of a run. What was not measured is nil, and null in
// JSON.
type result struct {
	Objective            string                    `json:"objective"`
	Steps                int                       `json:"steps"`
	TargetTokens         int64                     `json:"target_tokens"`
	TokensPerS           float64                   `json:"tokens_per_s"`
	TrainLoss            float64                   `json:"train_loss"`
	LearningRate         float64                   `json:"learning_rate"` // peak
	HeldoutRetrieved     *float64                  `json:"heldout_loss_retrieved"`
	HeldoutRandom        *float64                  `json:"heldout_loss_random"`
	HeldoutNone          *float64                  `json:"heldout_loss_none"`
	HeldoutOracle        *float64                  `json:"heldout_loss_oracle"`
	Beta                 float64                   `json:"beta"`
	P1                   *float64                  `json:"p_at_1"`
	MRR                  *float64                  `json:"mrr"`
	P1Centered           *float64                  `json:"p_at_1_centered"`
	P1RandomInit         *float64                  `json:"p_at_1_random_init"`
	P1TFIDF              *float64                  `json:"p_at_1_tfidf"`
	P1Layers             []float64                 `json:"p_at_1_layers,omitempty"` // without a g
	P1LayersCentered     []float64                 `json:"p_at_1_layers_centered,omitempty"`
	RelevanceAUC         *float64                  `json:"relevance_auc"`
	AttentionEntropy     *float64                  `json:"attention_entropy"`
	AttentionTranslation *float64                  `json:"attention_translation"`
	AttentionUniform     *float64                  `json:"attention_uniform"`
	PeakRSSMB            float64                   `json:"peak_rss_mb"`
	Params               int                       `json:"params"`
	P1ByPair             map[string]map[string]any `json:"p_at_1_by_pair"`
	HeldoutDocuments     int                       `json:"heldout_documents"`
	RetrievalQueries     *int                      `json:"retrieval_queries"`
	NotEvaluated         string                    `json:"not_evaluated,omitempty"` // why
	GoVersion            string                    `json:"go_version"`
	InstructionSet       string                    `json:"instruction_set"`
	ThreadsForTensors    int                       `json:"threads"`
}

// newResult has the figures of a training.
func newResult(o *options, m *marge.Model, stats marge.PretrainStats) *result {
	return &result{
		Objective: o.objective, Steps: stats.Steps, TargetTokens: stats.TargetTokens, TrainLoss: stats.Loss,
		LearningRate: o.lr,
		TokensPerS:   float64(stats.TargetTokens) / max(stats.Elapsed.Seconds(), 1e-9),
		Beta:         float64(m.Beta()), Params: nn.Count(m.Parameters()), PeakRSSMB: program.PeakRSS(),
		GoVersion: runtime.Version(), InstructionSet: asm.Current().String(), ThreadsForTensors: m.Runner().Threads(),
	}
}

// compared adds retrieval by TF-IDF, and how many queries there are.
func (r *result) compared(tfidf *eval.Report) {
	r.RetrievalQueries, r.P1TFIDF = &tfidf.Micro.N, &tfidf.Micro.P1
	r.P1ByPair = map[string]map[string]any{}
	for _, p := range tfidf.Pairs {
		r.P1ByPair[p.From+"-"+p.To] = map[string]any{"n": p.N, "tfidf": p.P1}
	}
}

// measured adds the figures of a model with a g, after compared.
func (r *result) measured(h *probe.Measurement, random *eval.Report) {
	for to, v := range map[**float64]float64{
		&r.HeldoutRetrieved: h.Loss.Retrieved, &r.HeldoutOracle: h.Loss.Oracle,
		&r.HeldoutRandom: h.Loss.Random, &r.HeldoutNone: h.Loss.None,
		&r.P1: h.P1, &r.MRR: h.MRR, &r.P1Centered: h.P1Centered, &r.P1RandomInit: random.Micro.P1,
		&r.RelevanceAUC: h.RelevanceAUC, &r.AttentionEntropy: h.AttentionEntropy,
		&r.AttentionTranslation: h.AttentionTranslation, &r.AttentionUniform: h.AttentionUniform,
	} {
		*to = &v
	}
	for i, p := range h.Report.Pairs {
		pair := r.P1ByPair[p.From+"-"+p.To]
		pair["g"], pair["random_init"] = p.P1, random.Pairs[i].P1
	}
}

func (r *result) print(w io.Writer) {
	if r.NotEvaluated != "" {
		fmt.Fprintf(w, "\nheld-out documents: not evaluated: %s\n", r.NotEvaluated)
		return
	}
	fmt.Fprintf(w, "\nheld-out cross-lingual retrieval (%d queries)    P@1    MRR\n", *r.RetrievalQueries)
	for i, p1 := range r.P1Layers {
		fmt.Fprintf(w, "  mean of layer %-2d                              %5.3f\n", i+1, p1)
		fmt.Fprintf(w, "  ... centred by language                       %5.3f\n", r.P1LayersCentered[i])
	}
	if r.P1 == nil {
		fmt.Fprintf(w, "  TF-IDF of characters                          %5.3f\n", *r.P1TFIDF)
		return
	}
	fmt.Fprintf(w, "  g, trained                                    %5.3f  %5.3f\n", *r.P1, *r.MRR)
	fmt.Fprintf(w, "  g, trained, centred by language               %5.3f\n", *r.P1Centered)
	fmt.Fprintf(w, "  g, before training                            %5.3f\n", *r.P1RandomInit)
	fmt.Fprintf(w, "  TF-IDF of characters                          %5.3f\n", *r.P1TFIDF)
	fmt.Fprintf(w, "held-out loss, nats per token: evidence retrieved %.3f, translations %.3f, random %.3f, none %.3f\n",
		*r.HeldoutRetrieved, *r.HeldoutOracle, *r.HeldoutRandom, *r.HeldoutNone)
}

// write writes the figures to a file and, if show says so, to w.
func (r *result) write(path string, show bool, w io.Writer) error {
	return program.WriteJSON(path, r, show, w)
}
