// Scale computes how well a training would do on many workers, from what was measured
// on few: the time of a batch, and the rate and latency of the network. It also tells
// how much memory a rank needs. Nothing here is a measurement.
//
//	go run ./bench/scale
//	go run ./bench/scale -batch 2.5 -network 100 -latency 20us -workers 16,64
//	go run ./bench/scale -model base -json
//
// The workers exchange gradients and parameters as marge.Pretrain does with a Group.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/marge-go/marge/marge"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "scale: %v\n", err)
		os.Exit(1)
	}
}

// report is what the program prints.
type report struct {
	Efficiency []estimate `json:"efficiency"`
	Memory     []memory   `json:"memory"`
}

type memory struct {
	Workers int   `json:"workers"`
	Tokens  int   `json:"batch_tokens"`
	Bytes   int64 `json:"bytes"`
	marge.TrainingMemory
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	model := flags.String("model", "paper", "size of the model: tiny, small, base or paper")
	batch := flags.String("batch", "6.2,0.35", "seconds that a worker computes for a batch, without exchanging anything")
	network := flags.String("network", "25,100", "Gb/s of a worker's network, in each direction")
	workers := flags.String("workers", "64,2048", "numbers of workers, powers of two")
	accumulate := flags.String("accumulate", "1,4", "batches that a worker computes for an update")
	line := flags.Float64("line", 0.9, "share of the network's rate that is reached")
	latency := flags.Duration("latency", 50*time.Microsecond, "time of a small message")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	c, ok := marge.Presets()[*model]
	if !ok {
		return fmt.Errorf("-model: no size %q", *model)
	}
	if !(*line > 0 && *line <= 1) || *latency < 0 {
		return fmt.Errorf("-line %v, -latency %v: want a share above 0, and no negative time", *line, *latency)
	}
	var lists [4][]float64
	for i, f := range []struct{ name, value string }{
		{"batch", *batch}, {"network", *network}, {"workers", *workers}, {"accumulate", *accumulate},
	} {
		for _, text := range strings.Split(f.value, ",") {
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || !(n > 0 && n < 1e6) || i >= 2 && n != float64(int(n)) ||
				i == 2 && bits.OnesCount(uint(n)) != 1 {
				return fmt.Errorf("-%s: %q", f.name, text)
			}
			lists[i] = append(lists[i], n)
		}
	}
	alone, err := marge.MemoryOf(marge.TrainingSize{Config: c, Tokens: min(512, c.MaxPositionEmbeddings)})
	if err != nil {
		return err
	}
	m := &machine{
		Parameters: float64(alone.Parameters / 4), Line: *line, Latency: latency.Seconds(),
		Last: float64(c.VocabSize*c.DModel) / float64(alone.Parameters/4), // the embeddings
	}
	var r report
	for _, b := range lists[0] {
		for _, n := range lists[1] {
			for _, short := range []bool{false, true} {
				for _, a := range lists[3] {
					for _, w := range lists[2] {
						r.Efficiency = append(r.Efficiency, m.estimate(setting{int(w), b, int(a), n, short}))
					}
				}
			}
		}
	}
	for _, ranks := range []int{1, 2, 4, 8, 16, 64} {
		for _, docs := range []int{1, 2} {
			s := marge.TrainingSize{Config: c, Documents: docs, Tokens: min(512, c.MaxPositionEmbeddings), Ranks: ranks}
			mem, err := marge.MemoryOf(s)
			if err != nil {
				return err
			}
			r.Memory = append(r.Memory, memory{ranks, 2 * docs * s.Tokens, mem.Total(), mem})
		}
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.print(out, len(lists[2]))
}

// print writes tables, with as many workers in a row.
func (r *report) print(out io.Writer, columns int) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| batch\t| network\t| gradients\t| batches an update\t|")
	for _, e := range r.Efficiency[:columns] {
		fmt.Fprintf(w, " %d workers\t|", e.Workers)
	}
	fmt.Fprintf(w, "\n%s", strings.Repeat("| ---\t", 4+columns)+"|")
	for i, e := range r.Efficiency {
		if i%columns == 0 {
			gradients := "float32"
			if e.Short {
				gradients = "bfloat16"
			}
			fmt.Fprintf(w, "\n| %v s\t| %v Gb/s\t| %s\t| %d\t|", e.Batch, e.Network, gradients, e.Accumulate)
		}
		fmt.Fprintf(w, " %.0f%%\t|", 100*e.Efficiency)
	}
	fmt.Fprint(w, "\n\n| ranks\t| tokens of a batch\t| memory of a rank\t|\n| ---\t| ---\t| ---\t|\n")
	for _, m := range r.Memory {
		fmt.Fprintf(w, "| %d\t| %d\t| %v\t|\n", m.Workers, m.Tokens, m.TrainingMemory)
	}
	return w.Flush()
}
