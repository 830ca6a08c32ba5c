package prepare

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge/vectors"
)

// languageSum is, of vectors in one language, how many there are and what they add up
// to: integers of 8 bytes, little-endian, as in vectors.Means, so that it does not
// matter how vectors are divided.
type languageSum struct {
	Count int64  `json:"count"`
	Sums  []byte `json:"sums"`
}

// sumOf returns the sum of a language.
func sumOf(m *vectors.Means, lang int) languageSum {
	s := languageSum{Count: m.Counts[lang]}
	for _, sum := range m.Sums[lang*m.Dim : (lang+1)*m.Dim] {
		s.Sums = binary.LittleEndian.AppendUint64(s.Sums, uint64(sum))
	}
	return s
}

// means are the sums of vectors, by language, each a vectors.Means of one language.
type means map[string]*vectors.Means

// add adds a sum.
func (m means) add(lang string, s languageSum) error {
	dim := len(s.Sums) / 8
	if dim == 0 || len(s.Sums)%8 != 0 {
		return fmt.Errorf("language %q: the sums have %d bytes", lang, len(s.Sums))
	}
	if m[lang] == nil {
		m[lang] = vectors.NewMeans(1, dim)
	}
	if m[lang].Dim != dim {
		return fmt.Errorf("language %q: sums of vectors of dimension %d and of %d", lang, m[lang].Dim, dim)
	}
	sums := make([]int64, dim)
	for i := range sums {
		sums[i] = int64(binary.LittleEndian.Uint64(s.Sums[8*i:]))
	}
	if err := m[lang].AddSums(0, sums, s.Count); err != nil {
		return fmt.Errorf("language %q: %w", lang, err)
	}
	return nil
}

func (m means) addPart(p *part) error {
	for lang, s := range p.Languages {
		if err := m.add(lang, s); err != nil {
			return fmt.Errorf("shard %q: %w", p.Shard, err)
		}
	}
	return nil
}

// of returns the means of some languages, numbered in their order. Each must be of at
// least as many vectors as p has.
func (m means) of(langs []string, p *part) (*vectors.Means, error) {
	var all *vectors.Means
	for i, lang := range langs {
		own := m[lang]
		if own == nil || own.Counts[0] < p.Languages[lang].Count {
			return nil, fmt.Errorf("the means of language %q are not those of all shards", lang)
		}
		if all == nil {
			all = vectors.NewMeans(len(langs), own.Dim)
		}
		if own.Dim != all.Dim {
			return nil, fmt.Errorf("the means have dimensions %d and %d", all.Dim, own.Dim)
		}
		if err := all.AddSums(i, own.Sums, own.Counts[0]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sum returns a hash of the means.
func (m means) sum() string {
	h := sha256.New()
	for _, lang := range slices.Sorted(maps.Keys(m)) {
		s := sumOf(m[lang], 0)
		fmt.Fprintf(h, "%s %d %x\n", lang, s.Count, s.Sums)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sumRecord(lang string, s languageSum) (record, error) {
	value, err := json.Marshal(s)
	return record{[]byte(hexOf(lang)), value}, err
}

// addRecord adds a record of sumRecord.
func (m means) addRecord(r record) error {
	fields, err := r.fields(1)
	if err != nil {
		return err
	}
	lang, err := unhex(fields[0])
	if err != nil {
		return err
	}
	var s languageSum
	if err := jsonx.Unmarshal(r.value, &s); err != nil {
		return fmt.Errorf("the sum: %w", err)
	}
	return m.add(lang, s)
}

// emit emits records of the sums and forgets them.
func (m means) emit(out emit) error {
	for _, lang := range slices.Sorted(maps.Keys(m)) {
		r, err := sumRecord(lang, sumOf(m[lang], 0))
		if err == nil {
			err = out(r)
		}
		if err != nil {
			return err
		}
		delete(m, lang)
	}
	return nil
}

// meansOf adds up records of sumRecord that are sorted, one language after the other.
// end emits the last.
type meansOf struct {
	group []byte
	means means
}

func (m *meansOf) add(r record, out emit) error {
	if m.means == nil {
		m.means = means{}
	}
	if !bytes.Equal(m.group, r.group()) {
		if err := m.means.emit(out); err != nil {
			return err
		}
		m.group = append(m.group[:0], r.group()...)
	}
	return m.means.addRecord(r)
}

func (m *meansOf) end(out emit) error { return m.means.emit(out) }
