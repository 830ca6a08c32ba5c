package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/task"
	"github.com/marge-go/marge/marge/vectors"
)

// A scored is a task that models are compared on.
type scored struct {
	name, about string
	tunes       bool // changes the model
	settings    any  // what the score depends on besides the model: data and options
	// score returns how well a model does; vectors of texts are those of a layer.
	score func(ctx context.Context, e *env, m *marge.Model, layer int) (float64, error)
}

// tasks are what objectives are compared on besides the retrieval of documents.
type tasks struct {
	sentences, mining, miningPairs   string
	paraphraseTrain, paraphraseTest  files // LANG=FILE
	answerTrain, answerTest          files
	languages                        string // of the translation
	translateTrain, translateTest    string
	steps                            int
	rate                             float64
	translateSteps, translateRecords int

	list []scored
}

func (t *tasks) flags(fs *flag.FlagSet) {
	fs.StringVar(&t.sentences, "sentences", "", "sentences with translations to retrieve, as Tatoeba has them: a `file` "+
		"that examples/retrieve reads")
	fs.StringVar(&t.mining, "mining", "", "JSON Lines `file` of texts with group to mine translations from")
	fs.StringVar(&t.miningPairs, "mining-pairs", "", "`pairs` of languages to mine (default: English with all others)")
	fs.Var(&t.paraphraseTrain, "paraphrase-train", "`LANG=FILE` of PAWS-X to fine-tune on (repeatable)")
	fs.Var(&t.paraphraseTest, "paraphrase-test", "`LANG=FILE` of PAWS-X to measure on (repeatable)")
	fs.Var(&t.answerTrain, "answer-train", "`LANG=FILE` of questions, as SQuAD has them, to fine-tune on (repeatable)")
	fs.Var(&t.answerTest, "answer-test", "`LANG=FILE` of questions to measure on (repeatable)")
	fs.StringVar(&t.languages, "translate", "en-de", "`languages` of the translation, FROM-TO")
	fs.StringVar(&t.translateTrain, "translate-train", "",
		"translations to fine-tune on, a `name` that examples/translate reads")
	fs.StringVar(&t.translateTest, "translate-test", "", "translations to measure on")
	fs.IntVar(&t.steps, "task-steps", 1000, "updates of a fine-tuning for paraphrases and for questions")
	fs.Float64Var(&t.rate, "task-lr", 3e-3, "peak learning rate of fine-tuning")
	fs.IntVar(&t.translateSteps, "translate-steps", 1000, "updates of a fine-tuning for translation")
	fs.IntVar(&t.translateRecords, "translate-records", 500, "translations to measure on, the first of the file")
}

func (t *tasks) names() (names []string) {
	for _, x := range t.list {
		names = append(names, x.name)
	}
	return names
}

// read reads the data of the tasks that are given; without any flag and without a
// corpus, all but the retrieval of sentences are generated.
func (t *tasks) read(e *env) error {
	if t.steps < 1 || t.translateSteps < 1 || t.translateRecords < 1 || !(t.rate > 0) {
		return errors.New("-task-steps, -task-lr, -translate-steps and -translate-records must be positive")
	}
	generated := len(e.corpora) == 0
	for _, read := range []func(*env, bool) (*scored, error){
		t.readSentences, t.readMining, t.readParaphrases, t.readAnswers, t.readTranslations,
	} {
		s, err := read(e, generated)
		if err != nil {
			return err
		}
		if s != nil {
			t.list = append(t.list, *s)
		}
	}
	return nil
}

// readSentences reads sets of sentences, of which each searches the other.
func (t *tasks) readSentences(*env, bool) (*scored, error) {
	if t.sentences == "" {
		return nil, nil
	}
	sets, err := task.ReadRetrieval(t.sentences)
	if err != nil {
		return nil, err
	}
	s := &scored{name: "sentences, P@1", about: "the share of sentences whose translation is nearest, both ways, " +
		"centred by language, mean over the sets in languages of the vocabulary.",
		settings: sets}
	s.score = func(ctx context.Context, _ *env, m *marge.Model, layer int) (float64, error) {
		sum, n := 0.0, 0
		for _, set := range sets {
			if m.Tokenizer.CheckLanguages(set.Langs()) != nil {
				continue
			}
			docs := make([][]int32, len(set.Texts))
			for i, text := range set.Texts {
				ids := m.Tokenizer.Encode(text)
				docs[i] = ids[:min(len(ids), m.Config.MaxPositionEmbeddings-2)]
			}
			rows, err := embed(ctx, m, docs, layer)
			if err != nil {
				return 0, err
			}
			scorer, err := centredScorer(ctx, m, rows, set.Langs())
			if err != nil {
				return 0, err
			}
			report, err := eval.Retrieval(ctx, set.Docs, scorer, nil)
			if err != nil {
				return 0, err
			}
			sum, n = sum+report.Micro.P1, n+1
		}
		if n == 0 {
			return 0, fmt.Errorf("%s has no set in languages of the vocabulary", t.sentences)
		}
		return sum / float64(n), nil
	}
	return s, nil
}

// readMining mines translations among texts most of which have none.
func (t *tasks) readMining(e *env, generated bool) (*scored, error) {
	from := &env{evals: files{t.mining}, settings: e.settings, log: e.log}
	switch {
	case t.mining != "":
	case generated:
		from.evals, from.heldoutEvents = nil, e.heldoutEvents
	default:
		return nil, nil
	}
	key, err := from.dataKey()
	if err != nil {
		return nil, err
	}
	s := &scored{name: "mining, F1", settings: []any{key, t.miningPairs, e.settings.Chunk},
		about: "translations found among texts of which most have none, as in BUCC, by " +
			"the ratio margin with the threshold that is best on other texts, mean over pairs of languages."}
	s.score = func(ctx context.Context, _ *env, m *marge.Model, layer int) (float64, error) {
		from.held = nil // it depends on the tokenizer
		h, err := from.heldout(m.Tokenizer)
		if err != nil {
			return 0, err
		}
		pairs, err := h.parsePairs(t.miningPairs)
		if err != nil {
			return 0, err
		}
		rows, err := embed(ctx, m, h.tokens, layer)
		if err != nil {
			return 0, err
		}
		var scores []float64
		for _, p := range pairs {
			found, err := h.mine(ctx, m, rows, p)
			if err != nil {
				return 0, err
			}
			for _, f := range found {
				if f.Margin == vectors.MarginRatio {
					scores = append(scores, f.Score.F1)
				}
			}
		}
		if len(scores) == 0 {
			return 0, errors.New("no pair of languages has two texts in common")
		}
		return meanOf(scores), nil
	}
	return s, nil
}

// perLanguage reads records from files named LANG=FILE.
func perLanguage[T any](list files, read func(file, lang string) ([]T, error)) (all []T, err error) {
	for _, name := range list {
		lang, file, ok := strings.Cut(name, "=")
		if !ok {
			return nil, fmt.Errorf("%s: want LANG=FILE", name)
		}
		records, err := read(file, lang)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// readBoth reads the records to train and to measure on, or nil if neither is given.
func readBoth[T any](
	what string, trainFiles, testFiles files, read func(file, lang string) ([]T, error),
) (train, test []T, err error) {
	if (len(trainFiles) > 0) != (len(testFiles) > 0) {
		return nil, nil, fmt.Errorf("-%s-train and -%s-test: give both", what, what)
	}
	if train, err = perLanguage(trainFiles, read); err == nil {
		test, err = perLanguage(testFiles, read)
	}
	return train, test, err
}

// frozen says how a model is fine-tuned to be used in other languages.
func (t *tasks) frozen() marge.FineTuneOptions {
	return marge.FineTuneOptions{Steps: t.steps, LearningRate: t.rate, Frozen: marge.FrozenForTransfer}
}

// fineTune fine-tunes a model, without what the options say of parameters that the
// model does not have.
func fineTune(ctx context.Context, m *marge.Model, task marge.Task, o marge.FineTuneOptions) error {
	if m.Config.DecoderBaseLayers == 0 {
		o.Frozen = slices.DeleteFunc(slices.Clone(o.Frozen), func(pattern string) bool {
			return strings.Contains(pattern, "base_layers")
		})
	}
	_, err := marge.FineTune(ctx, m, task, o)
	return err
}

func (t *tasks) readParaphrases(e *env, generated bool) (*scored, error) {
	read := func(file, lang string) ([]marge.Labeled, error) {
		pairs, _, err := task.ReadParaphrases(file, lang)
		return pairs, err
	}
	train, test, err := readBoth("paraphrase", t.paraphraseTrain, t.paraphraseTest, read)
	if train == nil && generated {
		train, test = task.NewsParaphrases(e.news(false)), task.NewsParaphrases(e.news(true))
	}
	if train == nil || err != nil {
		return nil, err
	}
	s := &scored{name: "paraphrases, accuracy", tunes: true, settings: []any{train, test, t.steps, t.rate},
		about: "zero-shot transfer: fine-tuned with embeddings and " +
			"base layers frozen, mean over the languages that were not trained on, or over all if all were."}
	trained := languagesOf(train, func(p marge.Labeled) string { return p.Lang })
	s.score = func(ctx context.Context, _ *env, m *marge.Model, _ int) (float64, error) {
		if err := fineTune(ctx, m, marge.Classification{Train: train}, t.frozen()); err != nil {
			return 0, err
		}
		classes, err := m.Classify(ctx, test...)
		if err != nil {
			return 0, err
		}
		right := map[string][]float64{}
		for i, c := range classes {
			value := 0.0
			if c.Label == test[i].Label {
				value = 100
			}
			right[test[i].Lang] = append(right[test[i].Lang], value)
		}
		return transferred(right, trained), nil
	}
	return s, nil
}

func (t *tasks) readAnswers(e *env, generated bool) (*scored, error) {
	read := func(file, lang string) ([]marge.Question, error) {
		q, err := task.ReadQuestions(file, task.QuestionOptions{Lang: lang, SkipBad: true})
		if err != nil {
			return nil, err
		}
		return q.Questions, nil
	}
	train, test, err := readBoth("answer", t.answerTrain, t.answerTest, read)
	if train == nil && generated {
		train, test = task.NewsQuestions(e.news(false)), task.NewsQuestions(e.news(true))
	}
	if train == nil || err != nil {
		return nil, err
	}
	s := &scored{name: "answers, F1", tunes: true, settings: []any{train, test, t.steps, t.rate},
		about: "zero-shot transfer of question answering, in the same way, " +
			"F1 as MLQA counts it."}
	trained := languagesOf(train, func(q marge.Question) string { return q.Lang })
	s.score = func(ctx context.Context, _ *env, m *marge.Model, _ int) (float64, error) {
		if err := fineTune(ctx, m, marge.SpanExtraction{Train: train}, t.frozen()); err != nil {
			return 0, err
		}
		answers, err := m.Answer(ctx, test...)
		if err != nil {
			return 0, err
		}
		f1 := map[string][]float64{}
		for i, a := range answers {
			score, err := task.ScoreAnswers(ctx, test[i:i+1], []string{a.Text}, nil)
			if err != nil {
				return 0, err
			}
			f1[test[i].Lang] = append(f1[test[i].Lang], score.All.F1)
		}
		return transferred(f1, trained), nil
	}
	return s, nil
}

func (t *tasks) readTranslations(e *env, generated bool) (*scored, error) {
	from, to, ok := strings.Cut(t.languages, "-")
	if !ok {
		return nil, fmt.Errorf("-translate %s: want FROM-TO", t.languages)
	}
	var train, test []marge.Pair
	switch {
	case t.translateTrain != "" && t.translateTest != "":
		read := func(name string) ([]marge.Pair, error) {
			translations, err := task.ReadTranslations(name, from, to)
			if err != nil {
				return nil, err
			}
			return translations.Pairs, nil
		}
		var err error
		if train, err = read(t.translateTrain); err != nil {
			return nil, err
		}
		if test, err = read(t.translateTest); err != nil {
			return nil, err
		}
	case t.translateTrain != "" || t.translateTest != "":
		return nil, errors.New("-translate-train and -translate-test: give both")
	case generated:
		train, test = task.NewsTranslations(e.news(false), from, to), task.NewsTranslations(e.news(true), from, to)
	default:
		return nil, nil
	}
	test = test[:min(len(test), t.translateRecords)]
	o := marge.FineTuneOptions{Steps: t.translateSteps, LearningRate: t.rate, LabelSmoothing: 0.1}
	s := &scored{name: "translation " + t.languages + ", BLEU", tunes: true,
		settings: []any{train, test, t.translateSteps, t.rate},
		about:    fmt.Sprintf("fine-tuned, nothing frozen, for %d updates, beam search of width 4.", t.translateSteps)}
	s.score = func(ctx context.Context, _ *env, m *marge.Model, _ int) (float64, error) {
		if err := fineTune(ctx, m, marge.SequenceToSequence{Train: train}, o); err != nil {
			return 0, err
		}
		var requests []marge.Request
		longest := 0
		for _, p := range test {
			requests = append(requests, marge.Request{Evidence: []string{p.Source}, Lang: to})
			longest = max(longest, 2*len(m.Tokenizer.Encode(p.Source))+10)
		}
		outputs, err := m.GenerateAll(ctx, requests, marge.GenerateOptions{
			Beams: 4, MaxTokens: min(longest, m.Config.MaxPositionEmbeddings-1),
		})
		if err != nil {
			return 0, err
		}
		texts := make([]string, len(outputs))
		for i := range outputs {
			texts[i] = outputs[i][0].Text
		}
		bleu, err := eval.BLEU(ctx, texts, task.References(test), eval.BLEUOptions{Tokenizer: eval.TokenizerFor(to)})
		if err != nil {
			return 0, err
		}
		return bleu.Score, nil
	}
	return s, nil
}

// news returns the generated events that tasks are trained on, or those that they
// are measured on.
func (e *env) news(heldout bool) news.Options {
	if heldout {
		return news.Options{Seed: newsSeed, First: news.FirstHeldOut, Events: e.heldoutEvents}
	}
	return news.Options{Seed: newsSeed, Events: e.events, Languages: []string{"en"}}
}

func languagesOf[T any](records []T, lang func(T) string) map[string]bool {
	all := map[string]bool{}
	for _, r := range records {
		all[lang(r)] = true
	}
	return all
}

// transferred returns the mean over languages of the means of scores, of the
// languages that were not trained on if there are any.
func transferred(scores map[string][]float64, trained map[string]bool) float64 {
	var other, all []float64
	for _, lang := range slices.Sorted(maps.Keys(scores)) {
		mean := meanOf(scores[lang])
		all = append(all, mean)
		if !trained[lang] {
			other = append(other, mean)
		}
	}
	if len(other) > 0 {
		return meanOf(other)
	}
	return meanOf(all)
}

func meanOf(values []float64) (mean float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	return mean
}
