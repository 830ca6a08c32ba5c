package corpus

import (
	"errors"
	"fmt"
	"strings"
)

// A Source is something that the documents of a store come from: a file, as
// Input.Sources returns it, or, without SHA256, something else of which the
// name tells all, such as "generated news, seed 1".
type Source struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // of the bytes as they are stored, in hexadecimal
}

func (s Source) String() string {
	if s.SHA256 == "" {
		return s.Name
	}
	return fmt.Sprintf("%s (%d bytes, SHA-256 %.12s)", s.Name, s.Bytes, s.SHA256)
}

// same reports whether two sources hold the same. A file may have moved.
func (s Source) same(other Source) bool {
	if s.SHA256 == "" {
		return s == other
	}
	return s.SHA256 == other.SHA256
}

// Provenance says what a store was made from. Options are those of
// BuildOptions, where 0 has been replaced by what it stands for.
type Provenance struct {
	Sources           []Source `json:"sources,omitempty"`
	Tokenizer         string   `json:"tokenizer,omitempty"` // fingerprint of the encoder
	ChunkTokens       int      `json:"chunk_tokens"`
	MinTokens         int      `json:"min_tokens"`
	MaxChunks         int      `json:"max_chunks"`
	FirstChunkTargets bool     `json:"first_chunk_targets"`
}

// ProvenanceOf returns the Provenance of the store that Build would make. A
// program that finds a store can tell with it, before it uses the store,
// whether that is what it would make now:
//
//	opts.Sources, err = input.Sources(ctx)
//	...
//	wanted, err := corpus.ProvenanceOf(tokenizer, opts)
//	...
//	if err := store.Provenance().Check(wanted); err != nil {
//		return fmt.Errorf("%s: %w", dir, err)
//	}
func ProvenanceOf(enc Encoder, opts BuildOptions) (Provenance, error) {
	opts, err := opts.resolve()
	if err != nil {
		return Provenance{}, err
	}
	p := Provenance{
		Sources: opts.Sources, ChunkTokens: opts.ChunkTokens, MinTokens: opts.MinTokens,
		MaxChunks: opts.MaxChunks, FirstChunkTargets: opts.FirstChunkTargets,
	}
	if f, ok := enc.(interface{ Fingerprint() string }); ok {
		p.Tokenizer = f.Fingerprint()
	}
	return p, nil
}

// Check returns an error that names every difference between what a store was
// made from and what is wanted, or nil if there is none. Files are compared by
// content, in order; their names may differ. A store of an earlier format does
// not know what it was made from, which is an error too.
func (p Provenance) Check(wanted Provenance) error {
	if p.ChunkTokens == 0 {
		return errors.New("corpus: the store is of an earlier version, which does not tell what it was made from")
	}
	var differences []string
	differ := func(what string, is, wanted any) {
		if is != wanted {
			differences = append(differences, fmt.Sprintf("%s is %v, wanted %v", what, is, wanted))
		}
	}
	differ("the number of sources", len(p.Sources), len(wanted.Sources))
	for i := range min(len(p.Sources), len(wanted.Sources)) {
		if is, wanted := p.Sources[i], wanted.Sources[i]; !is.same(wanted) {
			differ(fmt.Sprintf("source %d", i+1), is, wanted)
			break // one that was added or left out moves all that follow
		}
	}
	differ("the fingerprint of the tokenizer", p.Tokenizer, wanted.Tokenizer)
	differ("ChunkTokens", p.ChunkTokens, wanted.ChunkTokens)
	differ("MinTokens", p.MinTokens, wanted.MinTokens)
	differ("MaxChunks", p.MaxChunks, wanted.MaxChunks)
	differ("FirstChunkTargets", p.FirstChunkTargets, wanted.FirstChunkTargets)
	if differences == nil {
		return nil
	}
	return errors.New("corpus: the store was made from something else: " + strings.Join(differences, "; "))
}
