// Classify learns to sort texts into classes: the mean of the embeddings of the
// words goes through a small network. Beside it stands a linear model of the counts
// of words, which is what to beat.
//
//	classify                     # on generated reviews
//	classify -data mails.jsonl   # on lines like {"text": "...", "label": "..."}
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

type options struct {
	data   string
	epochs int
	width  int
	seed   uint64
}

func main() {
	var o options
	flag.StringVar(&o.data, "data", "", "JSON Lines `file` with text and label; generated reviews if empty")
	flag.IntVar(&o.epochs, "epochs", 15, "how often to go through the texts")
	flag.IntVar(&o.width, "width", 32, "of the embeddings")
	flag.Uint64Var(&o.seed, "seed", 1, "of weights, batches and the choice of the test texts")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		log.Fatal(err)
	}
}

// example is a text and its class.
type example struct {
	Text  string `json:"text"`
	Label string `json:"label"`
}

// read returns the examples of a JSON Lines file.
func read(path string) ([]example, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var list []example
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var e example
		if err := jsonx.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		if e.Text == "" || e.Label == "" {
			return nil, fmt.Errorf("%s: line %d: want text and label", path, n)
		}
		list = append(list, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// generate returns reviews. Whether one is positive depends on two words together,
// so that no sum of scores of single words tells.
func generate(n int, rng *rand.Rand) []example {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var list []example
	for range n {
		word, label := pick("good", "fresh", "friendly", "clean", "lovely"), "positive"
		if rng.IntN(2) == 0 {
			word, label = pick("bad", "stale", "rude", "dirty", "awful"), "negative"
		}
		verb := pick("was", "seemed", "is")
		if rng.IntN(2) == 0 {
			verb += pick(" not", " never", " hardly")
			label = map[string]string{"positive": "negative", "negative": "positive"}[label]
		}
		text := fmt.Sprintf("We came on %s. The %s %s %s. %s.", pick("Monday", "Friday", "Sunday"),
			pick("food", "service", "room", "place"), verb, word, pick("It rained", "My sister booked", "We took the bus"))
		list = append(list, example{text, label})
	}
	return list
}

// words returns the words of a text in lower case.
func words(text string) []string {
	between := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return strings.FieldsFunc(strings.ToLower(text), between)
}

// dataset is examples as numbers.
type dataset struct {
	texts  [][]int32 // words
	labels []int32
}

// batch returns some texts as one list of words, where each begins in it, and their
// labels.
func (d *dataset) batch(which []int) (ids, offsets, labels []int32) {
	offsets = []int32{0}
	for _, i := range which {
		ids, labels = append(ids, d.texts[i]...), append(labels, d.labels[i])
		offsets = append(offsets, int32(len(ids)))
	}
	return ids, offsets, labels
}

// encode numbers words and labels. Words that are not in vocabulary have the number
// of the empty word.
func encode(list []example, vocabulary map[string]int32, classes []string) (d dataset) {
	for _, e := range list {
		ids := []int32{}
		for _, w := range words(e.Text) {
			ids = append(ids, vocabulary[w])
		}
		class, _ := slices.BinarySearch(classes, e.Label)
		d.texts, d.labels = append(d.texts, ids), append(d.labels, int32(class))
	}
	return d
}

// classifier gives a score to each class.
type classifier struct {
	embed  *nn.Embedding
	net    nn.Sequential // of the mean of a text's embeddings
	params []nn.Parameter
}

func newClassifier(embed *nn.Embedding, net nn.Sequential) *classifier {
	return &classifier{embed, net, net.Parameters(embed.Parameters(nil, "embed."), "net.")}
}

// scores returns [texts, classes].
func (c *classifier) scores(tp *tensor.Tape, ids, offsets []int32) *tensor.Tensor {
	return c.net.Forward(tp, tp.SegmentMean(c.embed.Forward(tp, tp.Ints(ids), 1), offsets))
}

func (c *classifier) train(tp *tensor.Tape, d *dataset, epochs int, rng *rand.Rand) error {
	const size = 32
	opt := optim.NewAdamW(c.params)
	batches := (len(d.texts) + size - 1) / size
	schedule := optim.CosineDecay{Peak: 0.01, Warmup: 10, Total: epochs * batches}
	step := 0
	for range epochs {
		order := rng.Perm(len(d.texts))
		for which := range slices.Chunk(order, size) {
			step++
			ids, offsets, labels := d.batch(which)
			nn.ZeroGrad(c.params)
			tp.Reset(tensor.Training, uint64(step))
			loss := tp.CrossEntropyLoss(c.scores(tp, ids, offsets), tp.Ints(labels), tensor.CrossEntropyOptions{})
			tp.Backward(loss)
			if _, err := optim.ClippedStep(opt, c.params, schedule.LR(step), 1); err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
		}
	}
	return nil
}

// accuracy returns the share of texts whose best class is their label.
func (c *classifier) accuracy(tp *tensor.Tape, d *dataset) float64 {
	right := 0
	for i := range d.texts {
		tp.Reset(tensor.Inference, 0)
		ids, offsets, labels := d.batch([]int{i})
		scores := c.scores(tp, ids, offsets).Float32s()
		if slices.Index(scores, slices.Max(scores)) == int(labels[0]) {
			right++
		}
	}
	return float64(right) / float64(len(d.texts))
}

func run(w io.Writer, o options) error {
	rng := rand.New(rand.NewPCG(o.seed, 0))
	examples := generate(2500, rng)
	if o.data != "" {
		var err error
		if examples, err = read(o.data); err != nil {
			return err
		}
	}
	rng.Shuffle(len(examples), func(i, j int) { examples[i], examples[j] = examples[j], examples[i] })
	cut := len(examples) * 4 / 5 // the rest is for the test
	var classes []string
	for _, e := range examples {
		classes = append(classes, e.Label)
	}
	slices.Sort(classes)
	classes = slices.Compact(classes)
	if cut == 0 || len(classes) < 2 {
		return errors.New("want at least two texts with different labels")
	}
	vocabulary := map[string]int32{"": 0}
	for _, e := range examples[:cut] {
		for _, word := range words(e.Text) {
			if _, ok := vocabulary[word]; !ok {
				vocabulary[word] = int32(len(vocabulary))
			}
		}
	}
	train, test := encode(examples[:cut], vocabulary, classes), encode(examples[cut:], vocabulary, classes)
	fmt.Fprintf(w, "%d texts, %d for the test, of %d classes, %d words\n",
		len(examples), len(test.texts), len(classes), len(vocabulary))

	cpu := tensor.NewCPU(0)
	defer cpu.Close()
	tape := tensor.NewTape(cpu)
	for _, m := range []struct {
		name string
		*classifier
	}{
		{"linear", newClassifier(nn.NewEmbedding(cpu, len(vocabulary), len(classes), nil), nil)},
		{"network", newClassifier(nn.NewEmbedding(cpu, len(vocabulary), o.width, rng), nn.Sequential{
			nn.NewLinear(cpu, o.width, 2*o.width, rng), nn.Func((*tensor.Tape).ReLU), nn.Dropout(0.1),
			nn.NewLinear(cpu, 2*o.width, len(classes), rng),
		})},
	} {
		if err := m.train(tape, &train, o.epochs, rng); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(w, "%-8s %5.1f%% of the test texts are right\n", m.name, 100*m.accuracy(tape, &test))
	}
	return nil
}
