package source

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/marge-go/marge/marge/corpus"
)

// benchText returns some text of words as frequent as those of a language.
func benchText(rng *rand.Rand, words int) string {
	vocabulary := strings.Fields(english + " " + german + " " + russian)
	var b strings.Builder
	for i := range words {
		word := vocabulary[int(float64(len(vocabulary))*rng.Float64()*rng.Float64())]
		fmt.Fprintf(&b, "%s%d", word, int(1/(rng.Float64()+1e-3)))
		b.WriteString([]string{" ", " ", "\n"}[i%3])
	}
	return b.String()
}

// besideGzip measures a reader of a file beside the decompression of it, which
// no reader can do without: by turns, since machines are not equally fast at all
// times.
func besideGzip(b *testing.B, data []byte, read func(io.Reader) error) {
	size := int64(0)
	gunzip := func(r io.Reader) error {
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		size, err = io.Copy(io.Discard, z)
		return err
	}
	var spent [2]time.Duration
	turns := int64(0)
	for b.Loop() {
		turns++
		for i, f := range []func(io.Reader) error{gunzip, read} {
			begin := time.Now()
			if err := f(struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
				b.Fatal(err)
			}
			spent[i] += time.Since(begin)
		}
	}
	speed := func(d time.Duration) float64 { return float64(turns*size) / 1e6 / d.Seconds() }
	b.ReportMetric(speed(spent[0]), "MB/s-gunzip")
	b.ReportMetric(speed(spent[1]), "MB/s-read")
	b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "of-gunzip")
}

// BenchmarkWET reads texts of web pages as Common Crawl has them. They name
// their language, so that it need not be identified.
func BenchmarkWET(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var parts []string
	for range 300 {
		parts = append(parts, record("conversion", "text/plain", benchText(rng, 200+rng.IntN(1500))))
	}
	besideGzip(b, zip(parts...), func(r io.Reader) error {
		stats, err := ReadWARC(b.Context(), "x", r, WARCOptions{Options: Options{Lang: "de"}},
			func(corpus.Document) error { return nil })
		if err == nil && stats.Documents != len(parts) {
			err = fmt.Errorf("%v", stats)
		}
		return err
	})
}

// BenchmarkSQL reads the links between the articles of two wikis.
func BenchmarkSQL(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(benchText(rng, 5000))
	var rows strings.Builder
	const statements, each = 20, 5000
	for range statements {
		rows.WriteString("INSERT INTO `langlinks` VALUES ")
		for i := range each {
			end := ",;"[i/(each-1):][:1]
			fmt.Fprintf(&rows, "(%d,'de','%s %s')%s", rng.IntN(1e7), words[rng.IntN(5000)], words[rng.IntN(5000)], end)
		}
		rows.WriteString("\n")
	}
	data := zip(sqlTable("langlinks", "  `ll_from` int,\n  `ll_lang` blob,\n  `ll_title` blob,\n", rows.String()))
	besideGzip(b, data, func(r io.Reader) error {
		stats, err := ReadLangLinks(b.Context(), "x", r, func(int64, string, string) error { return nil })
		if err == nil && stats.Records != statements*each {
			err = fmt.Errorf("%v", stats)
		}
		return err
	})
}
