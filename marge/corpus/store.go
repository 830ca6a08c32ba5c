package corpus

import (
	"crypto/sha256"
	"fmt"
)

type Document struct{ ID, Lang, Text, Date, Shard, Group, Source string }
type BuildOptions struct {
	ChunkTokens, MinTokens, MaxChunks int
	FirstChunkTargets                 bool
}
type Encoder interface {
	AppendEncode(dst []int32, text string) []int32
}
type Store struct {
	chunks        []Chunk
	toks          [][]int32
	langs, shards []string
	byShard       [][]int
	docs          []Document
}
type Chunk struct {
	Doc, Index int
	Lang       int
	Shard      int
	Source     int
	Target     bool
	Tokens     int
}

func FromDocuments(docs []Document, enc Encoder, o BuildOptions) (*Store, error) {
	s := &Store{docs: docs}
	li, si := map[string]int{}, map[string]int{}
	for d, doc := range docs {
		key := doc.Shard
		if key == "" {
			key = doc.Date
		}
		if _, ok := li[doc.Lang]; !ok {
			li[doc.Lang] = len(s.langs)
			s.langs = append(s.langs, doc.Lang)
		}
		if _, ok := si[key]; !ok {
			si[key] = len(s.shards)
			s.shards = append(s.shards, key)
			s.byShard = append(s.byShard, nil)
		}
		ids := enc.AppendEncode(nil, doc.Text)
		for k := 0; len(ids) > 0; k++ {
			n := min(len(ids), o.ChunkTokens)
			c := Chunk{d, k, li[doc.Lang], si[key], d, true, n}
			s.byShard[c.Shard] = append(s.byShard[c.Shard], len(s.chunks))
			s.chunks = append(s.chunks, c)
			s.toks = append(s.toks, ids[:n:n])
			ids = ids[n:]
		}
	}
	return s, nil
}
func (s *Store) Len() int                  { return len(s.chunks) }
func (s *Store) Tokens(i int) []int32      { return s.toks[i] }
func (s *Store) Chunk(i int) Chunk         { return s.chunks[i] }
func (s *Store) Langs() []string           { return s.langs }
func (s *Store) Shards() []string          { return s.shards }
func (s *Store) Shard(k int) []int         { return s.byShard[k] }
func (s *Store) DocumentID(doc int) string { return s.docs[doc].ID }
func (s *Store) Fingerprint() string {
	h := sha256.New()
	fmt.Fprint(h, s.docs)
	return fmt.Sprintf("%x", h.Sum(nil))
}
