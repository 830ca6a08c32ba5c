package marge

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/gradcheck"
)

func TestLabelsJSON(t *testing.T) {
	for _, want := range []Labels{{"a", "b"}, {`"quoted"`, "日本語", "c", "d", "e", "f", "g", "h", "i", "j", "k"}} {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Labels
		if err := json.Unmarshal(data, &got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is read as %q, error %v", data, got, err)
		}
	}
	if data, err := json.Marshal(Labels{"no", "yes"}); err != nil || string(data) != `{"0":"no","1":"yes"}` {
		t.Errorf("%s, error %v", data, err)
	}
	for _, text := range []string{`["a"]`, `{"0":"a","2":"b"}`, `{"0":1}`, `{"00":"a","1":"b"}`, `{"0":null,"x":"b"}`} {
		var got Labels
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is read as %q", text, got)
		}
	}
}

// withHeads returns a model with both heads, of random weights.
func withHeads(t testing.TB) *Model {
	return taskModel(t, func(c *Config) { c.Labels, c.AnswerTokens = Labels{"a", "b", "c"}, 4 })
}

func TestHeadParameters(t *testing.T) {
	m, plain := withHeads(t), taskModel(t, nil)
	want := map[string][]int{
		"classification_head.dense.weight": {32, 32}, "classification_head.dense.bias": {32},
		"classification_head.out_proj.weight": {3, 32}, "classification_head.out_proj.bias": {3},
		"qa_outputs.weight": {2, 32}, "qa_outputs.bias": {2},
	}
	n := len(plain.Parameters())
	got := map[string][]int{}
	for _, p := range m.Parameters()[n:] {
		got[p.Name] = p.Shape()
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the heads are %v, want %v", got, want)
	}
	shapes := map[string][]int{}
	for p := range m.Config.paramShapes() {
		shapes[p.name] = p.shape
	}
	for _, p := range m.Parameters() {
		if !slices.Equal(shapes[p.Name], p.Shape()) {
			t.Errorf("%s has shape %v, by the configuration %v", p.Name, p.Shape(), shapes[p.Name])
		}
	}
	if c := m.Config.paramCount(); c != float64(nn.Count(m.Parameters())) {
		t.Errorf("%v parameters, want %d", c, nn.Count(m.Parameters()))
	}
	// A model has the weights that it has without heads.
	for i, p := range plain.Parameters() {
		if !slices.Equal(p.Float32s(), m.Parameters()[i].Float32s()) {
			t.Errorf("%s differs from that of a model without heads", p.Name)
		}
	}
}

func TestHeadsSaved(t *testing.T) {
	m := withHeads(t)
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(weights(m), weights(loaded)) || !slices.Equal(loaded.Config.Labels, m.Config.Labels) ||
		loaded.Config.AnswerTokens != 4 {
		t.Errorf("loaded: labels %q, answers of %d tokens", loaded.Config.Labels, loaded.Config.AnswerTokens)
	}
	config := string(readTest(t, filepath.Join(dir, configName)))
	if !strings.Contains(config, `"id2label": {`) || !strings.Contains(config, `"1": "b"`) {
		t.Errorf("config.json: %s", config)
	}
	// Without heads config.json is as it was before there were any.
	plain := taskModel(t, nil)
	if data, err := MarshalConfig(plain.Config); err != nil || strings.Contains(string(data), "label") ||
		strings.Contains(string(data), "answer") {
		t.Errorf("%s, error %v", data, err)
	}
	ctx := context.Background()
	if _, err := plain.Classify(ctx, labeled(1, 1)...); err == nil || !strings.Contains(err.Error(), "no head") {
		t.Errorf("Classify: error %v", err)
	}
	if _, err := plain.Answer(ctx, questions(1, 1, 3)...); err == nil || !strings.Contains(err.Error(), "no head") {
		t.Errorf("Answer: error %v", err)
	}
}

// A head whose weights or labels do not fit is refused.
func TestHostileHeads(t *testing.T) {
	m := withHeads(t)
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "checksums.json")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, configName)
	config := string(readTest(t, path))
	at, end := strings.Index(config, `"id2label"`), strings.Index(config, `"max_answer_tokens"`)
	for want, labels := range map[string]string{
		"classification_head.out_proj.weight has shape": `"id2label": {"0":"a","1":"b"},`,
		"tensor classification_head.":                   "",
		"there is one label":                            `"id2label": {"0":"a"},`,
		"none of number 1":                              `"id2label": {"0":"a","2":"b","3":"c"},`,
		"occurs twice":                                  `"id2label": {"0":"a","1":"a","2":"c"},`,
		"label 2 is empty":                              `"id2label": {"0":"a","1":"b","2":""},`,
		"id2label":                                      `"id2label": ["a","b","c"],`,
	} {
		writeTest(t, path, []byte(config[:at]+labels+config[end:]))
		refused(t, labels, dir, want)
	}
	for want, n := range map[string]string{
		"max_answer_tokens is -1": "-1", "tensor qa_outputs.": "0", "max_answer_tokens is 99999999": "99999999",
	} {
		writeTest(t, path, []byte(strings.Replace(config, `"max_answer_tokens": 4`, `"max_answer_tokens": `+n, 1)))
		refused(t, n, dir, want)
	}
	writeTest(t, path, []byte(config))
	m.heads.span.Bias.Float32s()[1] = float32(math.NaN())
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, "NaN", dir, "tensor qa_outputs.bias: element 1 is NaN")
	if _, err := m.Answer(context.Background(), questions(1, 1, 3)...); err == nil ||
		!strings.Contains(err.Error(), "not finite") {
		t.Errorf("Answer: error %v", err)
	}
}

func TestHeadGradients(t *testing.T) {
	cpu := tensor.NewCPU(1)
	random := func(seed uint64, shape ...int) *tensor.Tensor { return tensor.Rand(cpu, seed, shape...) }
	gradcheck.Check(t, func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
		h := classHead{&nn.Linear{Weight: in[1], Bias: in[2]}, &nn.Linear{Weight: in[3], Bias: in[4]}}
		return h.forward(tp, in[0], 0.25)
	}, random(1, 5, 4), random(2, 4, 4), random(3, 4), random(4, 3, 4), random(5, 3))

	examples := []example{{wanted: [2]int32{1, 2}}, {}, {wanted: [2]int32{3, 3}}}
	for _, smoothing := range []float32{0, 0.25} {
		gradcheck.Check(t, func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return spanLoss(tp, headScores{in[0], []int32{0, 4, 6, 10}}, examples, smoothing)
		}, random(6, 10, 2))
	}
}

// New heads have random weights by the seed, and every layer the dropout.
func TestAdapt(t *testing.T) {
	weightsOf := func(seed uint64) []float32 {
		m := taskModel(t, nil)
		c := m.Config
		c.Labels, c.AnswerTokens, c.Dropout = Labels{"a", "b"}, 3, 0.5
		undo, err := m.adapt(c, seed)
		if err != nil {
			t.Fatal(err)
		}
		dropouts := func(want float32) {
			layers := slices.Concat(m.encoder.layers, m.decoder.base)
			for _, l := range m.decoder.layers {
				layers = append(layers, &l.encoderLayer)
			}
			for i, l := range layers {
				if l.dropout != want || m.Config.Dropout != want {
					t.Errorf("dropout of layer %d is %v, of the model %v, want %v", i, l.dropout, m.Config.Dropout, want)
				}
			}
		}
		dropouts(0.5)
		var all []float32
		for _, w := range []*tensor.Tensor{m.heads.class.dense.Weight, m.heads.class.out.Weight, m.heads.span.Weight} {
			all = append(all, w.Float32s()...)
		}
		n := len(m.params)
		undo()
		dropouts(0)
		if m.heads != (heads{}) || len(m.params) != n-6 || m.Config.Labels != nil || m.Config.AnswerTokens != 0 {
			t.Errorf("undone: heads %v, %d of %d parameters", m.heads, len(m.params), n)
		}
		return all
	}
	first := weightsOf(1)
	if slices.Contains(first, 0) || !slices.Equal(first, weightsOf(1)) || slices.Equal(first, weightsOf(2)) {
		t.Error("the weights of new heads are not random by the seed")
	}
}

// The head for classification is that of BART.
func TestClassHead(t *testing.T) {
	cpu := tensor.NewCPU(1)
	h := newHeads(cpu, &Config{DModel: 2, Labels: Labels{"a", "b"}}).class
	for _, l := range []*nn.Linear{h.dense, h.out} {
		nn.AddIdentity(l.Weight, 1)
		nn.Constant(l.Bias, 0.25)
	}
	tp := tensor.NewTape(cpu)
	tp.Reset(tensor.Inference, 0)
	got := valuesOf(h.forward(tp, tp.Floats([]float32{0.5, -2}, 1, 2), 0))
	for i, x := range []float64{0.5, -2} {
		if want := math.Tanh(x+0.25) + 0.25; math.Abs(float64(got[i])-want) > 1e-6 {
			t.Errorf("%v, want tanh(x + 1/4) + 1/4 of %v", got, x)
		}
	}
}

// An input that is read together with others is read as it is alone: with the
// relevance of its only document, as the paper has it.
func TestDecodeEach(t *testing.T) {
	m := withHeads(t)
	b := &Batch{
		Evidence: [][]int32{{10, 11, 12, 13}, {20}, {30, 31, 32}}, Targets: [][]int32{{40, 41}, {42, 43, 44}, {45}},
		Languages: []int32{5, 6, 5},
	}
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Inference, 0)
	out := (&rendering{m, 0}).loss(tp, b)
	sum := 0.0
	for i := range b.Targets {
		one := &Batch{Evidence: b.Evidence[i : i+1], Targets: b.Targets[i : i+1], Languages: b.Languages[i : i+1]}
		losses, err := m.Loss(one)
		if err != nil {
			t.Fatal(err)
		}
		sum += losses[0] * float64(len(one.Targets[0])+1)
	}
	if got := float64(out.sum.Item()); math.Abs(got-sum) > 1e-4*sum || out.weight != 9 || out.tokens != 9 ||
		out.targets != 3 || out.evidence != 3 {
		t.Errorf("%+v, loss %v, want %v", out, got, sum)
	}
}

// Heads read the states that they are for.
func TestHeadsReadTheRightStates(t *testing.T) {
	m := withHeads(t)
	input := [][]int32{{10, 11, tokenizer.EOS, 12, 13, 14}, {20, tokenizer.EOS, 21}}
	b := newBatch([]example{
		{source: input[0], target: input[0], language: 5, context: 3},
		{source: input[1], target: input[1], language: 6, context: 2},
	})
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Inference, 0)
	class, span := m.classScores(tp, b), m.spanScores(tp, b)
	if !slices.Equal(class.offsets, []int32{0, 1, 2}) || !slices.Equal(span.offsets, []int32{0, 4, 6}) {
		t.Fatalf("scores at %v and %v", class.offsets, span.offsets)
	}
	for i, ids := range input {
		first := func(int) int32 { return b.Languages[i] }
		hidden := m.decodeEach(tp, packEncoder(tp, [][]int32{ids}), pack(tp, [][]int32{ids}, first, tokenizer.EOS))
		near := func(what string, got, want *tensor.Tensor) {
			t.Helper()
			for j, w := range valuesOf(want) {
				if g := valuesOf(got)[j]; math.Abs(float64(g-w)) > 1e-4 {
					t.Errorf("%s of input %d: %v, want %v", what, i, valuesOf(got), valuesOf(want))
					return
				}
			}
		}
		n := len(ids) + 2
		near("classes", tp.Rows(class.Tensor, i, i+1), m.heads.class.forward(tp, tp.Rows(hidden, n-1, n), 0))
		lo, hi := int(span.offsets[i]), int(span.offsets[i+1])
		near("no answer", tp.Rows(span.Tensor, lo, lo+1), m.heads.span.Forward(tp, tp.Rows(hidden, 0, 1)))
		context := b.examples[i].context + 1
		near("answer", tp.Rows(span.Tensor, lo+1, hi), m.heads.span.Forward(tp, tp.Rows(hidden, context, n-1)))
	}
}

// spanOf returns the answer of a model that is sure of some tokens.
func spanOf(t testing.TB, tok tokenizer.Tokenizer, context string, first, last, longest int) Answer {
	t.Helper()
	ids, offsets := tok.EncodeOffsets(context)
	scores := make([]float32, 2*len(ids)+2)
	scores[2*(first+1)], scores[2*(last+1)+1] = 20, 20
	return bestSpan(context, offsets, []example{{}}, [][]float32{scores}, longest).Answer
}

// Every answer is found again at its place in the original text, in characters.
func TestAnswerOffsets(t *testing.T) {
	m := taskModel(t, nil)
	for _, c := range []struct{ context, answer string }{
		{"法国的首都是巴黎。柏林在德国。", "巴黎"}, {"عاصمة فرنسا هي باريس اليوم", "باريس"},
		{"the cafe\u0301 is e\u0301trange", "cafe\u0301"}, {"the café is étrange", "étrange"},
		{"an oﬃce of ㍿ ﬁnance", "㍿"}, {"an oﬃce of ㍿ ﬁnance", "ﬁnance"}, {"a 👩‍👩‍👧‍👦 family, 🇩🇪 👍🏽!", "🇩🇪"},
		{"seven  one\n two ", "one\n two"}, {"2½ litres", "½"}, {"one two", "one"}, {"नई दिल्ली भारत", "दिल्ली"},
		{"x\xffbroken one\xe4\xb8", "one"},
	} {
		at := strings.Index(c.context, c.answer)
		start := len([]rune(c.context[:at]))
		q := Question{Lang: "en", Question: "zero", Context: c.context, Answers: []Answer{{c.answer, start}}}
		data, err := SpanExtraction{Train: []Question{q}}.read(context.Background(), m)
		if err != nil {
			t.Errorf("%q: %v", c.answer, err)
			continue
		}
		e := data.train[0]
		got := spanOf(t, m.Tokenizer, c.context, int(e.wanted[0])-1, int(e.wanted[1])-1, 100)
		if got != q.Answers[0] {
			t.Errorf("%q at %d is found as %q at %d", c.answer, start, got.Text, got.Start)
		}
	}
	// Half a character is widened to a whole one, and a token of two words to both.
	if a := spanOf(t, m.Tokenizer, "巴黎", 1, 1, 9); a != (Answer{"巴", 0}) {
		t.Errorf("a byte of a character gives %+v", a)
	}
	// An answer has at most so many tokens, and neither begins nor ends with white space.
	ids := m.Tokenizer.Encode("one two three")
	if a := spanOf(t, m.Tokenizer, "one two three", 0, len(ids)-1, len(ids)-1); a.Text == "one two three" {
		t.Errorf("an answer of more tokens than it may have: %+v", a)
	}
	text := "one\n\n\ntwo"
	blank := len(m.Tokenizer.Encode("one"))
	if a := spanOf(t, m.Tokenizer, text, blank, blank, 9); a.Text == "" || strings.TrimSpace(a.Text) != a.Text {
		t.Errorf("white space is an answer: %+v", a)
	}
}

// The answer is marked in every window that has the whole of it, and in no other.
func TestWindowsMarkTheAnswer(t *testing.T) {
	m := taskModel(t, nil)
	for at := range 100 {
		words := strings.Fields(strings.Repeat("one ", 100))
		words[at] = "neun null sieben"
		text := strings.Join(words, " ")
		start := strings.Index(text, "neun")
		q := Question{Lang: "en", Question: "zero", Context: text, Answers: []Answer{{words[at], start}}}
		data, err := SpanExtraction{Train: []Question{q}}.read(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		marked := 0
		for _, e := range data.train {
			window := m.Tokenizer.Decode(e.target[e.context:])
			if e.wanted == [2]int32{} {
				if strings.Contains(window, words[at]) {
					t.Errorf("answer at word %d: not marked in %q", at, window)
				}
				continue
			}
			marked++
			got := m.Tokenizer.Decode(e.target[e.context+int(e.wanted[0])-1 : e.context+int(e.wanted[1])])
			if strings.TrimSpace(got) != words[at] {
				t.Errorf("answer at word %d: marked %q", at, got)
			}
		}
		if marked == 0 {
			t.Errorf("answer at word %d is not marked", at)
		}
	}
}

// Answers are as long as 99 of 100 are in training.
func TestAnswerTokens(t *testing.T) {
	data := &taskData{train: []example{{context: 1}}} // without an answer
	for i := range 200 {
		data.train = append(data.train, example{context: 1, wanted: [2]int32{5, 5 + int32(i)}})
	}
	if c := (SpanExtraction{}).config(Config{}, data); c.AnswerTokens != 198 {
		t.Errorf("answers of %d tokens, want 198", c.AnswerTokens)
	}
	if c := (SpanExtraction{}).config(Config{AnswerTokens: 300}, data); c.AnswerTokens != 300 {
		t.Errorf("answers of %d tokens, fewer than before", c.AnswerTokens)
	}
	data.train = data.train[:2]
	if c := (SpanExtraction{}).config(Config{}, data); c.AnswerTokens != 1 {
		t.Errorf("answers of %d tokens, want 1", c.AnswerTokens)
	}
}

// Windows cover a context, each from the middle of the one before.
func TestWindows(t *testing.T) {
	m := taskModel(t, nil)
	r, err := newReader(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []int{1, 40, 57, 58, 59, 60, 61, 200} {
		q := Question{Lang: "en", Question: "zero", Context: strings.TrimSpace(strings.Repeat(" one", words))}
		windows, offsets, cut, err := r.question(&q)
		if err != nil || cut {
			t.Fatal(cut, err)
		}
		question, context := m.Tokenizer.Encode("zero"), m.Tokenizer.Encode(q.Context)
		size := r.room() - 1 - len(question)
		at := 0
		for i, w := range windows {
			n := len(w.target) - w.context
			want := slices.Concat(question, []int32{tokenizer.EOS}, context[w.window:w.window+n])
			if w.window != at || !slices.Equal(w.source, want) || !slices.Equal(w.target, want) ||
				i < len(windows)-1 && n != size || len(w.target) > r.room() {
				t.Errorf("%d words: window %d at %d of %d tokens", words, i, w.window, n)
			}
			at += size / 2
		}
		last := windows[len(windows)-1]
		if end := last.window + len(last.target) - last.context; end != len(context) || len(offsets) != len(context)+1 {
			t.Errorf("%d words: the windows end at %d of %d", words, end, len(context))
		}
		if (len(windows) == 1) != (len(context) <= size) {
			t.Errorf("%d words: %d windows", words, len(windows))
		}
	}
	// The question gives way.
	q := Question{Lang: "en", Question: strings.Repeat("zero ", 100), Context: "one"}
	windows, _, cut, err := r.question(&q)
	if err != nil || !cut || windows[0].context != (r.room()-1)/2+1 {
		t.Errorf("a long question: context at %d, cut %t, error %v", windows[0].context, cut, err)
	}
	r.m.Config.MaxPositionEmbeddings = 3
	if _, _, _, err := r.question(&q); err == nil || !strings.Contains(err.Error(), "3 positions, too few") {
		t.Errorf("error %v", err)
	}
}

// The best span of all windows is the answer.
func TestBestSpanOverWindows(t *testing.T) {
	context := "a b c d"
	offsets := []int{0, 1, 3, 5, 7}
	windows := []example{{window: 0}, {window: 2}}
	scores := [][]float32{
		{9, 9, 5, 0, 0, 5, 0, 0}, // says that the answer is elsewhere
		{0, 0, 0, 0, 4, 4},       // in two tokens, the second one
	}
	got := bestSpan(context, offsets, windows, scores, 3)
	p := math.Exp(4) / (math.Exp(4) + 2)
	if got.Answer != (Answer{"d", 6}) || math.Abs(got.Score-p*p) > 1e-12 {
		t.Errorf("%+v, want d with %v", got, p*p)
	}
}

func TestCompareAnswers(t *testing.T) {
	q := Question{Answers: []Answer{{"abcd", 10}, {"xy", 30}}}
	for _, c := range []struct {
		a         Answer
		exact, f1 float64
	}{
		{Answer{"abcd", 10}, 1, 1}, {Answer{"xy", 3}, 1, 1}, {Answer{"cdef", 12}, 0, 0.5}, {Answer{"q", 20}, 0, 0},
		{Answer{"xyz", 30}, 0, 0.8},
	} {
		if exact, f1 := q.compare(c.a); exact != c.exact || math.Abs(f1-c.f1) > 1e-12 {
			t.Errorf("%+v: %v and %v, want %v and %v", c.a, exact, f1, c.exact, c.f1)
		}
	}
}

func TestUseErrors(t *testing.T) {
	m := withHeads(t)
	ctx, cancel := context.WithCancel(context.Background())
	for want, use := range map[string]func() error{
		`classify: text[1] (b:2): tokenizer: no token`: func() error {
			_, err := m.Classify(ctx, Labeled{Text: "one", Lang: "en"}, Labeled{Text: "one", Lang: "fr", Where: "b:2"})
			return err
		},
		"classify: text[0]: the text is empty": func() error { _, err := m.Classify(ctx, Labeled{Lang: "en"}); return err },
		"answer: question[0]: the context is empty": func() error {
			_, err := m.Answer(ctx, Question{Lang: "en", Question: "zero"})
			return err
		},
	} {
		if err := use(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
	if found, err := m.Classify(ctx); err != nil || len(found) != 0 {
		t.Errorf("no text: %v, error %v", found, err)
	}
	cancel()
	if _, err := m.Classify(ctx, labeled(1, 1)...); err != context.Canceled && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v", err)
	}
	m.Tokenizer = nil
	if _, err := m.Classify(ctx, labeled(1, 1)...); err == nil || !strings.Contains(err.Error(), "no tokenizer") {
		t.Errorf("error %v", err)
	}
}
