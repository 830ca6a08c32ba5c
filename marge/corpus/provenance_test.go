package corpus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// signed encodes runes and has a fingerprint.
type signed struct {
	runes
	fingerprint string
}

func (s signed) Fingerprint() string { return s.fingerprint }

func TestProvenance(t *testing.T) {
	paths := []string{jsonLines(t, 0, 4, false), jsonLines(t, 4, 4, false)}
	in, err := OpenInput(context.Background(), paths, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	sources, err := in.Sources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	opts := BuildOptions{ChunkTokens: 9, Sources: sources}
	enc := signed{fingerprint: "abc"}
	wanted, err := ProvenanceOf(enc, opts)
	if err != nil {
		t.Fatal(err)
	}
	if wanted.MinTokens != DefaultMinTokens || wanted.Tokenizer != "abc" || len(wanted.Sources) != 2 {
		t.Errorf("provenance %+v", wanted)
	}
	dir := filepath.Join(t.TempDir(), "store")
	built, err := Build(dir, in.Documents(context.Background(), ReadOptions{}), enc, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer built.Close()
	opened, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	for _, s := range []*Store{built, opened} {
		if err := s.Provenance().Check(wanted); err != nil || s.TokenizerFingerprint() != "abc" {
			t.Errorf("tokenizer %q, %v", s.TokenizerFingerprint(), err)
		}
	}

	// Where the files are and what they are called does not matter.
	moved := wanted
	moved.Sources = []Source{sources[0], sources[1]}
	moved.Sources[1].Name = "/dev/fd/63"
	if err := built.Provenance().Check(moved); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(p *Provenance){
		"the number of sources is 2, wanted 1": func(p *Provenance) { p.Sources = sources[:1] },
		"the number of sources is 2, wanted 3": func(p *Provenance) { p.Sources = append(sources[:2:2], Source{Name: "x"}) },
		"source 1 is " + sources[0].String() + ", wanted " + sources[1].String(): func(p *Provenance) {
			p.Sources = []Source{sources[1], sources[0]}
		},
		"source 2 is " + sources[1].String() + ", wanted news, seed 1": func(p *Provenance) {
			p.Sources = []Source{sources[0], {Name: "news, seed 1"}}
		},
		"the fingerprint of the tokenizer is abc, wanted abd":  func(p *Provenance) { p.Tokenizer = "abd" },
		"ChunkTokens is 9, wanted 8; MinTokens is 8, wanted 7": func(p *Provenance) { p.ChunkTokens, p.MinTokens = 8, 7 },
		"MaxChunks is 0, wanted 1":                             func(p *Provenance) { p.MaxChunks = 1 },
		"FirstChunkTargets is false, wanted true":              func(p *Provenance) { p.FirstChunkTargets = true },
	} {
		other := wanted
		change(&other)
		if err := built.Provenance().Check(other); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}

	// The documents make the fingerprint, not what they come from.
	opts.Sources = nil
	other, err := Build(filepath.Join(t.TempDir(), "store"), in.Documents(context.Background(), ReadOptions{}), runes{},
		opts)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Fingerprint() != built.Fingerprint() {
		t.Error("the provenance is part of the fingerprint")
	}
}

func TestProvenanceErrors(t *testing.T) {
	if _, err := ProvenanceOf(runes{}, BuildOptions{ChunkTokens: -1}); err == nil {
		t.Error("a negative option: no error")
	}
	data := storeData(t, testDocuments())
	h, c, err := decodeMetadata(data[metadataFile])
	if err != nil {
		t.Fatal(err)
	}
	h.provenance = []byte(`{"chunk_tokens":"ten"}`)
	s, err := openData(t, data, metadataFile, encodeMetadata(&h, &c))
	wantDamage(t, s, err, metadataFile, "with a provenance of another type")
	if err != nil && !strings.Contains(err.Error(), "/chunk_tokens") {
		t.Error(err)
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	abc, zeros := filepath.Join(dir, "abc"), filepath.Join(dir, "zeros")
	if err := os.WriteFile(abc, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(zeros, nil, 0o666), os.Truncate(zeros, 17<<20)); err != nil {
		t.Fatal(err)
	}
	in, err := OpenInput(context.Background(), []string{abc, zeros}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	sources, err := in.Sources(context.Background())
	want := []Source{
		// FIPS 180-2, appendix B.1.
		{abc, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		// head -c 17825792 /dev/zero | sha256sum
		{zeros, 17 << 20, "22427fd5e24f1989afefbda75c8daf74aa02a1d4b2ba47dae755b275d35da5cf"},
	}
	if err != nil || !slices.Equal(sources, want) {
		t.Errorf("%+v, %v, want %+v", sources, err, want)
	}
}
