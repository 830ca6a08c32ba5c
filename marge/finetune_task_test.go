package marge

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
)

func TestFineTuneErrors(t *testing.T) {
	long := strings.Repeat("one ", 100)
	pair := func(change func(p *Pair)) SequenceToSequence {
		list := pairs(1, 3)
		list[1].Where = "a.tsv:7"
		change(&list[1])
		return SequenceToSequence{Train: list}
	}
	label := func(change func(l *Labeled)) Classification {
		list := labeled(1, 20)
		change(&list[4])
		return Classification{Train: labeled(2, 20), Dev: list}
	}
	elsewhere := func(q *Question) { q.Answers[0].Text = "zwölf" }
	question := func(change func(q *Question)) SpanExtraction {
		list := questions(1, 3, 3)
		change(&list[2])
		return SpanExtraction{Train: list}
	}
	two := func(list []Labeled) Classification { return Classification{Train: list, Labels: []string{"a", "b"}} }
	for want, task := range map[string]Task{
		"there are no training records":                            SequenceToSequence{Dev: pairs(1, 1)},
		"Train[1] (a.tsv:7): the source is empty":                  pair(func(p *Pair) { p.Source = " \n" }),
		"Train[1] (a.tsv:7): the target is empty":                  pair(func(p *Pair) { p.Target = "" }),
		`Train[1] (a.tsv:7): tokenizer: no token for language`:     pair(func(p *Pair) { p.TargetLang = "fr" }),
		`Dev[4]: label "neither" is none of ["with" "without"]`:    label(func(l *Labeled) { l.Label = "neither" }),
		"Dev[4]: the text is empty":                                label(func(l *Labeled) { l.Text = "" }),
		"Dev[4]: the other text is empty":                          label(func(l *Labeled) { l.Other = " " }),
		`Dev[4]: tokenizer: no token for language "xx"`:            label(func(l *Labeled) { l.Lang = "xx" }),
		`Train[0]: label "" is none of`:                            two([]Labeled{{Text: "one", Lang: "en"}}),
		`there is one label, "x"`:                                  Classification{Train: []Labeled{{Label: "x"}}},
		`label "a" occurs twice`:                                   Classification{Labels: []string{"a", "a"}},
		"label 0 is empty":                                         Classification{Labels: []string{"", "a"}},
		"Train[2]: there is no answer":                             question(func(q *Question) { q.Answers = nil }),
		"Train[2]: the question is empty":                          question(func(q *Question) { q.Question = "" }),
		"Train[2]: the context is empty":                           question(func(q *Question) { q.Context = "\t" }),
		"Train[2]: answer 0 is empty":                              question(func(q *Question) { q.Answers[0].Text = " " }),
		`Train[2]: answer 0, "zwölf", is not in the context`:       question(elsewhere),
		"is not in the context at character -1":                    question(func(q *Question) { q.Answers[0].Start = -1 }),
		"is not in the context at character 1000":                  question(func(q *Question) { q.Answers[0].Start = 1000 }),
		`no token for language "fr"`:                               question(func(q *Question) { q.Lang = "fr" }),
		"no answer of the training records fits in what the model": question(func(q *Question) {}).longest(long),
	} {
		m := taskModel(t, nil)
		_, err := FineTune(context.Background(), m, task, taskOptions(5))
		if err == nil || !strings.HasPrefix(err.Error(), "fine-tune: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
		if m.heads.class != nil || m.heads.span != nil {
			t.Errorf("%q: the model has a head", want)
		}
	}
	for want, change := range map[string]func(o *FineTuneOptions){
		"set one of Epochs, Steps":                func(o *FineTuneOptions) { o.Steps = 0 },
		"one of Epochs, Steps":                    func(o *FineTuneOptions) { o.Epochs = 1 },
		"one of Steps, TargetTokens and Duration": func(o *FineTuneOptions) { o.TargetTokens = 1 },
		"Epochs is -1":                            func(o *FineTuneOptions) { o.Epochs, o.Steps = -1, 0 },
		"BatchTokens is -1":                       func(o *FineTuneOptions) { o.BatchTokens = -1 },
		"BatchRecords is -1":                      func(o *FineTuneOptions) { o.BatchRecords = -1 },
		"Accumulate is -1":                        func(o *FineTuneOptions) { o.Accumulate = -1 },
		"EvaluateEvery is -1":                     func(o *FineTuneOptions) { o.EvaluateEvery = -1 },
		"without development data":                func(o *FineTuneOptions) { o.Patience = 2 },
		"LabelSmoothing is 1":                     func(o *FineTuneOptions) { o.LabelSmoothing = 1 },
		"dropout 1.5":                             func(o *FineTuneOptions) { o.Dropout = 1.5 },
		"LearningRate is -1":                      func(o *FineTuneOptions) { o.LearningRate = -1 },
		"Resume needs Dir":                        func(o *FineTuneOptions) { o.Resume = true },
	} {
		o := taskOptions(5)
		change(&o)
		m, _, err := fineTune(t, Classification{Train: labeled(1, 5)}, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
		if m.heads.class != nil {
			t.Errorf("%q: the model has a head", want)
		}
	}
	m := taskModel(t, nil)
	m.Tokenizer = nil
	for name, task := range tasks() {
		if _, err := FineTune(context.Background(), m, task, taskOptions(1)); err == nil ||
			!strings.Contains(err.Error(), "no tokenizer") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// longest returns the task with one question whose answer is its whole context.
func (s SpanExtraction) longest(context string) SpanExtraction {
	q := s.Train[0]
	q.Context, q.Answers = context, []Answer{{strings.TrimSpace(context), 0}}
	return SpanExtraction{Train: []Question{q}}
}

// Records that are too long are cut, and counted.
func TestRecordsAreCut(t *testing.T) {
	long := strings.Repeat("one ", 100)
	list := pairs(1, 10)
	list[2].Source, list[3].Target = long, long
	_, stats := mustFineTune(t, SequenceToSequence{Train: list}, taskOptions(2))
	if stats.Cut != 2 || stats.Dropped != 0 || !strings.Contains(stats.String(), "2 records cut, 0 dropped") {
		t.Errorf("sequences: %+v", stats)
	}
	texts := compared(1, 10)
	texts[1].Text, texts[2].Other, texts[3].Text, texts[3].Other = long, long, long, long
	if _, stats := mustFineTune(t, Classification{Train: texts}, taskOptions(2)); stats.Cut != 3 {
		t.Errorf("classification: %+v", stats)
	}
	asked := questions(1, 10, 3)
	asked[0].Question = long
	asked = append(asked, SpanExtraction{Train: asked}.longest(long).Train[0])
	if _, stats := mustFineTune(t, SpanExtraction{Train: asked}, taskOptions(2)); stats.Cut != 1 || stats.Dropped != 1 {
		t.Errorf("questions: %+v", stats)
	}
	// The shorter of two texts is kept.
	r, err := newReader(taskModel(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	ids := r.m.Tokenizer.Encode("one two")
	for _, l := range []Labeled{{Text: "one two", Other: long, Lang: "en"}, {Text: long, Other: "one two", Lang: "en"}} {
		e, cut, err := r.labeled(&l)
		at := slices.Index(e.source, tokenizer.EOS)
		kept := e.source[at+1:]
		if l.Text == "one two" {
			kept = e.source[:at]
		}
		if err != nil || !cut || len(e.source) != r.room() || !slices.Equal(kept, ids) {
			t.Errorf("%q, %q: %d tokens, error %v", l.Text, l.Other, len(e.source), err)
		}
	}
}

// What is measured is the loss per prediction, and how often the model is right.
func TestMeasures(t *testing.T) {
	ctx := context.Background()
	m := taskModel(t, func(c *Config) { c.Labels, c.AnswerTokens = Labels{"with", "without"}, 3 })
	texts, asked := labeled(2, 40), questions(2, 20, 40)
	want := map[string]map[string]float64{"sequence": {}, "classification": {"accuracy": 0}, "span": {}}
	classes, err := m.Classify(ctx, texts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range classes {
		if c.Label == texts[i].Label {
			want["classification"]["accuracy"] += 1 / float64(len(texts))
		}
	}
	answers, err := m.Answer(ctx, asked...)
	if err != nil {
		t.Fatal(err)
	}
	asked[3].Answers = append(asked[3].Answers, answers[3].Answer) // at least one is right
	for i, a := range answers {
		exact, f1 := asked[i].compare(a.Answer)
		want["span"]["exact_match"] += exact / float64(len(asked))
		want["span"]["f1"] += f1 / float64(len(asked))
	}
	if a := want["classification"]["accuracy"]; a == 0 || a == 1 || want["span"]["f1"] == 0 {
		t.Fatalf("nothing to tell apart: %v", want)
	}
	for name, task := range map[string]Task{
		"sequence":       SequenceToSequence{Train: pairs(1, 1), Dev: pairs(2, 40)},
		"classification": Classification{Train: labeled(1, 20), Dev: texts},
		"span":           SpanExtraction{Train: questions(1, 1, 3), Dev: asked},
	} {
		data, err := task.read(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := task.measure(ctx, m, data.dev)
		if err != nil {
			t.Fatal(err)
		}
		out := task.objective(m, 0).loss(m.tape(), newBatch(data.dev))
		want[name]["loss"] = float64(out.sum.Item()) / float64(out.weight)
		for score, w := range want[name] {
			if math.Abs(got[score]-w) > 1e-5*(1+w) || len(got) != len(want[name]) {
				t.Errorf("%s: %v, want %v", name, got, want[name])
			}
		}
		tokens := 0
		for _, e := range data.dev {
			tokens += len(e.target) + 1
		}
		if out.tokens != tokens || out.targets != len(data.dev) || out.evidence != len(data.dev) {
			t.Errorf("%s: %d tokens, %d targets, want %d and %d", name, out.tokens, out.targets, tokens, len(data.dev))
		}
	}
}

// The data of a training are all that its result depends on.
func TestFingerprint(t *testing.T) {
	m := taskModel(t, nil)
	print := func(task Task) string {
		data, err := task.read(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		return data.fingerprint()
	}
	seen := map[string]bool{}
	for _, task := range []Task{
		SequenceToSequence{Train: pairs(1, 3)}, SequenceToSequence{Train: pairs(2, 3)},
		SequenceToSequence{Train: pairs(1, 2), Dev: pairs(1, 3)[2:]},
		Classification{Train: labeled(1, 20)}, Classification{Train: labeled(1, 20), Labels: []string{"without", "with"}},
		SpanExtraction{Train: questions(1, 2, 3)}, SpanExtraction{Train: questions(1, 2, 3), Dev: questions(1, 2, 3)},
	} {
		if f := print(task); seen[f] || f != print(task) {
			t.Errorf("%+v has the fingerprint of other data", task)
		} else {
			seen[f] = true
		}
	}
	dev := questions(1, 2, 3)
	dev[1].Answers = append(dev[1].Answers, Answer{dev[1].Context[:3], 0})
	if seen[print(SpanExtraction{Train: questions(1, 2, 3), Dev: dev})] {
		t.Error("one more answer that counts as right leaves the fingerprint")
	}
}
