package prepare

import (
	"math/bits"
	"slices"
	"strings"
)

// Counts says what came of documents. Read is the sum of Kept and Dropped.
type Counts struct {
	// Read counts the documents that were read, Unread what is no document in the
	// files: lines, records, messages or whole files, by reason.
	Read   int            `json:"read"`
	Unread map[string]int `json:"unread"`
	// Damaged counts the places where files are damaged or cut, LostBytes the
	// bytes that were passed over there where that is known.
	Damaged   int   `json:"damaged"`
	LostBytes int64 `json:"lost_bytes"`
	// Errors are the first, in the order of the alphabet, of the messages for what
	// is damaged or no document.
	Errors []string `json:"errors"`

	Dropped    map[Reason]int      `json:"dropped"`
	Kept       int                 `json:"kept"`
	Characters int64               `json:"characters"` // of what was kept
	Languages  map[string]Language `json:"languages"`
	// Lengths counts the documents that were kept by their length, ShardSizes the
	// shards by their size: those of 2^(i-1) to 2^i-1 characters at index i.
	Lengths    []int `json:"lengths"`
	Shards     int   `json:"shards"`
	ShardSizes []int `json:"shard_sizes"`
}

// Language says what was kept in a language. Region and script do not count.
type Language struct {
	Documents  int   `json:"documents"`
	Characters int64 `json:"characters"`
}

// maxErrors is how many messages are kept, of at most maxErrorBytes each.
const (
	maxErrors     = 100
	maxErrorBytes = 500
)

func (c *Counts) addError(message string) {
	message = strings.ToValidUTF8(message[:min(len(message), maxErrorBytes)], "")
	i, _ := slices.BinarySearch(c.Errors, message)
	c.Errors = slices.Insert(c.Errors, i, message)
	c.Errors = c.Errors[:min(len(c.Errors), maxErrors)]
}

// add adds what was counted elsewhere.
func (c *Counts) add(other *Counts) {
	c.Read += other.Read
	for reason, n := range other.Unread {
		c.Unread = count(c.Unread, reason, n)
	}
	c.Damaged += other.Damaged
	c.LostBytes += other.LostBytes
	for _, message := range other.Errors {
		c.addError(message)
	}
	for reason, n := range other.Dropped {
		c.Dropped = count(c.Dropped, reason, n)
	}
	c.Kept += other.Kept
	c.Characters += other.Characters
	for lang, l := range other.Languages {
		c.addLanguage(lang, l)
	}
	c.Lengths = sum(c.Lengths, other.Lengths)
	c.Shards += other.Shards
	c.ShardSizes = sum(c.ShardSizes, other.ShardSizes)
}

// keep counts a document that is kept.
func (c *Counts) keep(lang string, length int) {
	c.Kept++
	c.Characters += int64(length)
	// Tags may have any number of subtags that somebody thought of.
	lang, _, _ = strings.Cut(lang, "-")
	if len(lang) > 3 || len(lang) < 2 {
		lang = "other"
	}
	c.addLanguage(lang, Language{1, int64(length)})
	c.Lengths = histogram(c.Lengths, int64(length))
}

func (c *Counts) addLanguage(lang string, more Language) {
	if c.Languages == nil {
		c.Languages = map[string]Language{}
	}
	l := c.Languages[lang]
	c.Languages[lang] = Language{l.Documents + more.Documents, l.Characters + more.Characters}
}

func (c *Counts) shard(s Shard) {
	c.Shards++
	c.ShardSizes = histogram(c.ShardSizes, s.Characters)
}

func count[K comparable](m map[K]int, key K, n int) map[K]int {
	if m == nil {
		m = map[K]int{}
	}
	m[key] += n
	return m
}

func histogram(h []int, size int64) []int {
	i := bits.Len64(uint64(size))
	if i >= len(h) {
		h = append(h, make([]int, i+1-len(h))...)
	}
	h[i]++
	return h
}

func sum(a, b []int) []int {
	if len(b) > len(a) {
		a = append(a, make([]int, len(b)-len(a))...)
	}
	for i, n := range b {
		a[i] += n
	}
	return a
}
