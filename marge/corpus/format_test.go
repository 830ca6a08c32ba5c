package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var storeFiles = []string{metadataFile, stringsFile, tokensFile}

// storeData returns the files of a small store.
func storeData(t testing.TB, docs []Document) map[string][]byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	mustBuild(t, dir, docs, BuildOptions{ChunkTokens: 10, MinTokens: 3})
	data := map[string][]byte{}
	for _, name := range storeFiles {
		var err error
		if data[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// openData opens the store that one changed file and the other files make.
func openData(t testing.TB, data map[string][]byte, name string, changed []byte) (*Store, error) {
	t.Helper()
	return openChanged(t, writeData(t, data), name, changed)
}

func writeData(t testing.TB, data map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openChanged(t testing.TB, dir, name string, changed []byte) (*Store, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), changed, 0o666); err != nil {
		t.Fatal(err)
	}
	return Open(dir)
}

func wantDamage(t *testing.T, s *Store, err error, file, what string) {
	t.Helper()
	if err == nil {
		s.Close()
		t.Errorf("%s %s: no error", file, what)
		return
	}
	if !strings.Contains(err.Error(), string(filepath.Separator)+file+" is damaged: ") || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s %s: error %v", file, what, err)
	}
}

func TestTruncation(t *testing.T) {
	data := storeData(t, testDocuments())
	for _, name := range storeFiles {
		dir := writeData(t, data)
		whole := data[name]
		for n := range len(whole) {
			s, err := openChanged(t, dir, name, whole[:n])
			wantDamage(t, s, err, name, "truncated")
		}
		s, err := openChanged(t, dir, name, append(slices.Clone(whole), 0))
		wantDamage(t, s, err, name, "with a byte too many")
	}
}

func TestFlippedBytes(t *testing.T) {
	data := storeData(t, testDocuments())
	for _, name := range storeFiles {
		dir := writeData(t, data)
		for i := range data[name] {
			flipped := slices.Clone(data[name])
			flipped[i] ^= 1 << (i % 8)
			s, err := openChanged(t, dir, name, flipped)
			if name != tokensFile {
				wantDamage(t, s, err, name, "with a flipped byte")
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			wantDamage(t, s, s.Verify(), name, "with a flipped byte")
			s.Close()
		}
	}
}

func TestMissingFiles(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	for _, name := range storeFiles {
		dir := filepath.Join(t.TempDir(), "store")
		mustBuild(t, dir, testDocuments(), BuildOptions{})
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name+" is missing") {
			t.Errorf("without %s: %v", name, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "store")
	mustBuild(t, dir, testDocuments(), BuildOptions{})
	if err := os.Remove(filepath.Join(dir, stringsFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, stringsFile), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), stringsFile) {
		t.Errorf("a directory for a file: %v", err)
	}
}

// headerSize is the length of a header of the present version.
var headerSize = (&header{version: formatVersion}).headerSize()

// reseal gives changed metadata checksums that match, as whoever wants to
// mislead a reader would.
func reseal(metadata []byte) []byte {
	out := slices.Clone(metadata)
	seal := func(from, end uint64) {
		sum := sha256.Sum256(out[from:end])
		copy(out[end:], sum[:])
	}
	n := uint64(len(out))
	if n < uint64(headerSize) {
		return out
	}
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(out[len(magic)+4*i:]) }
	h := header{version: number(0), docs: number(2), chunks: number(3), langs: number(4), shards: number(5)}
	size := h.size()
	if h.version >= 3 && n >= size+sha256.Size {
		seal(0, size-sha256.Size)
		seal(size-sha256.Size, n-sha256.Size)
	} else {
		seal(0, n-sha256.Size)
	}
	return out
}

func TestHostileMetadata(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(h *header, c *columns)
		want   string
	}{
		{"flags", func(h *header, _ *columns) { h.flags = 2 }, "unknown flags 0x2"},
		{"tokens", func(h *header, _ *columns) { h.tokens = 1<<63 + 1 }, "too many for this machine"},
		{"strings", func(h *header, _ *columns) { h.stringBytes = 1 << 63 }, "too many for this machine"},
		{"vocabulary", func(h *header, _ *columns) { h.vocab = 1<<31 + 1 }, "vocabulary of 2147483649"},
		{"fewer tokens", func(h *header, _ *columns) { h.tokens-- }, "the last chunk ends at"},
		{"first chunk", func(_ *header, c *columns) { c.tokenStart[0] = 1 }, "chunk 0 begins at 1"},
		{"chunk order", func(_ *header, c *columns) { c.tokenStart[1] = 1 << 40 }, "chunk 1 begins at"},
		{"empty chunk", func(_ *header, c *columns) { c.tokenStart[1] = 0 }, "chunk 0 has no token"},
		{"string order", func(_ *header, c *columns) { c.stringStart[3] = 1 << 63 }, "string 3 begins at"},
		{"document order", func(_ *header, c *columns) { c.docFirst[1] = 1 << 31 }, "document 1 begins at"},
		{"shard order", func(_ *header, c *columns) { c.shardStart[1] = 9 }, "shard 1 begins at 9"},
		{"document of a chunk", func(_ *header, c *columns) { c.chunkDoc[0] = 1 << 31 },
			"chunk 0 is one of document 2147483648 and of document 0"},
		{"chunks of a document", func(_ *header, c *columns) { c.docFirst[1] = 0 },
			"is one of document 0 and of document 1"},
		{"language", func(_ *header, c *columns) { c.docLang[2] = 3 }, "document 2 has language 3 of 3"},
		{"shard", func(_ *header, c *columns) { c.docShard[2] = 3 }, "shard 3 of 3"},
		{"source", func(_ *header, c *columns) { c.docSource[2] = 5 }, "source 5 of at most 5"},
		{"chunk of a shard", func(_ *header, c *columns) { c.shardChunks[0] = 8 }, "shard 0 has chunk 8 of 8"},
		{"shard of a chunk", func(_ *header, c *columns) { c.shardChunks[0] = 4 },
			"chunk 4 is one of shard 0 and of shard 1"},
		{"chunk order of a shard", func(_ *header, c *columns) { c.shardChunks[1] = 0 },
			"the chunks of shard 0 are out of order"},
	} {
		data := storeData(t, testDocuments())
		h, c, err := decodeMetadata(data[metadataFile]) // columns that can be written to
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encodeMetadata(&h, &c), data[metadataFile]) {
			t.Fatal("encoding is not the inverse of decoding")
		}
		test.change(&h, &c)
		s, err := openData(t, data, metadataFile, encodeMetadata(&h, &c))
		wantDamage(t, s, err, metadataFile, test.name)
		if err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}

	data := storeData(t, testDocuments())
	for at, want := range map[int]string{0: "is no corpus", len(magic): "version"} {
		changed := slices.Clone(data[metadataFile])
		changed[at]++
		s, err := openData(t, data, metadataFile, reseal(changed))
		wantDamage(t, s, err, metadataFile, want)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	// The greatest counts do not overflow the computation of sizes.
	changed := slices.Clone(data[metadataFile])
	for at := len(magic) + 4; at < headerSize-2*sha256.Size; at++ {
		changed[at] = 0xff
	}
	s, err := openData(t, data, metadataFile, reseal(changed))
	wantDamage(t, s, err, metadataFile, "with the greatest counts")
}

// A store of another corpus's files does not open.
func TestMixedFiles(t *testing.T) {
	data := storeData(t, testDocuments())
	docs := testDocuments()
	docs[0].Text, docs[0].ID = strings.ToUpper(docs[0].Text), "z" // of the same length
	other := storeData(t, docs)
	s, err := openData(t, data, stringsFile, other[stringsFile])
	wantDamage(t, s, err, stringsFile, "of another store")
	if s, err = openData(t, data, tokensFile, other[tokensFile]); err != nil {
		t.Fatal(err)
	}
	wantDamage(t, s, s.Verify(), tokensFile, "of another store")
	s.Close()
}

func TestNegativeTokens(t *testing.T) {
	data := storeData(t, testDocuments())
	h, c, err := decodeMetadata(data[metadataFile])
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(data[tokensFile][8:], 1<<31)
	h.tokensSum = sha256.Sum256(data[tokensFile])
	s, err := openData(t, data, metadataFile, encodeMetadata(&h, &c))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Verify(); err == nil || !strings.Contains(err.Error(), "token 2 is -2147483648") {
		t.Errorf("error %v", err)
	}
}

// digits encodes digits to their values, in a vocabulary of ten.
type digits struct{ vocab int }

func (digits) AppendEncode(dst []int32, text string) []int32 {
	for _, r := range text {
		dst = append(dst, r-'0')
	}
	return dst
}

func (d digits) VocabSize() int { return d.vocab }

func TestVocabSize(t *testing.T) {
	docs := []Document{{ID: "a", Lang: "en", Text: "0123456789"}}
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Build(dir, sequence(docs, nil), digits{10}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(); err != nil || s.VocabSize() != 10 {
		t.Errorf("a vocabulary of %d, %v", s.VocabSize(), err)
	}
	s.Close()
	if _, err := FromDocuments(docs, digits{9}, BuildOptions{}); err == nil ||
		!strings.Contains(err.Error(), `("a"): the encoder, of a vocabulary of 9, returned token 9`) {
		t.Errorf("a token outside the vocabulary: %v", err)
	}
	if s, err = FromDocuments(docs, runes{}, BuildOptions{}); err != nil || s.VocabSize() != 0 {
		t.Errorf("an encoder that does not tell: %d, %v", s.VocabSize(), err)
	}
	s.Close()

	data, err := os.ReadFile(filepath.Join(dir, metadataFile))
	if err != nil {
		t.Fatal(err)
	}
	h, c, err := decodeMetadata(data)
	if err != nil {
		t.Fatal(err)
	}
	h.vocab = 9
	if err := os.WriteFile(filepath.Join(dir, metadataFile), encodeMetadata(&h, &c), 0o666); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Verify(); err == nil || !strings.Contains(err.Error(), "token 9 is 9, in a vocabulary of 9") {
		t.Errorf("verifying: %v", err)
	}
}

// Stores of earlier versions of the format are read.
func TestEarlierVersions(t *testing.T) {
	data := storeData(t, testDocuments())
	for version, least := range map[uint32]int{1: len(magic) + 6*4 + 2*8, 2: len(magic) + 6*4 + 3*8} {
		h, c, err := decodeMetadata(data[metadataFile])
		if err != nil {
			t.Fatal(err)
		}
		h.version = version
		old := encodeMetadata(&h, &c)
		if len(old) != int(h.size()) {
			t.Fatalf("%d bytes of metadata, want %d", len(old), h.size())
		}
		s, err := openData(t, data, metadataFile, old)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Verify(); err != nil || s.Documents() != len(testDocuments()) || s.DocumentID(2) != "c" {
			t.Errorf("version %d: %d documents, %v", version, s.Documents(), err)
		}
		if s.VocabSize() != 0 || s.TokenizerFingerprint() != "" {
			t.Errorf("version %d: a vocabulary of %d, tokenizer %q", version, s.VocabSize(), s.TokenizerFingerprint())
		}
		if sum := sha256.Sum256(old); s.Fingerprint() != hex.EncodeToString(sum[:]) {
			t.Errorf("version %d: the fingerprint is not the hash of the metadata any more", version)
		}
		if err := s.Provenance().Check(Provenance{}); err == nil || !strings.Contains(err.Error(), "earlier version") {
			t.Errorf("version %d: the provenance is accepted: %v", version, err)
		}
		for size := range least + 2*sha256.Size {
			if _, _, err := decodeMetadata(old[:size]); err == nil {
				t.Fatalf("%d bytes of metadata are accepted", size)
			}
		}
	}
}

// Languages that an earlier version kept in several spellings are one.
func TestLanguageSpellings(t *testing.T) {
	docs := []Document{
		{ID: "a", Lang: "de-DE", Text: "a"}, {ID: "b", Lang: "en", Text: "b"}, {ID: "c", Lang: "de-AT", Text: "c"},
		{ID: "d", Lang: "de-AT", Text: "d"},
	}
	data := storeData(t, docs)
	h, c, err := decodeMetadata(data[metadataFile])
	if err != nil {
		t.Fatal(err)
	}
	h.version = 2
	data[stringsFile] = []byte(strings.Replace(string(data[stringsFile]), "de-DEende-AT", "de_atende-AT", 1))
	h.stringsSum = sha256.Sum256(data[stringsFile])
	s, err := openData(t, data, metadataFile, encodeMetadata(&h, &c))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if want := []string{"de-AT", "en"}; !slices.Equal(s.Langs(), want) {
		t.Errorf("languages %q, want %q", s.Langs(), want)
	}
	for i, want := range []int{0, 1, 0, 0} {
		if got := s.Chunk(i).Lang; got != want {
			t.Errorf("chunk %d has language %d, want %d", i, got, want)
		}
	}
}

// Data that cannot be read in place, as on a big-endian machine, is decoded.
func TestViewCopies(t *testing.T) {
	data := []byte{0, 1, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	for at := range 4 { // three of which are not aligned
		moved := append(make([]byte, at, 20), data[1:9]...)
		got := view(moved[at:], decodeInt32)
		if want := []int32{-1<<31 + 1, -1}; !slices.Equal(got, want) {
			t.Errorf("at offset %d: %v, want %v", at, got, want)
		}
	}
}

// FuzzOpen changes the metadata at will, with checksums and sizes that match.
// A store that opens can be used without a panic.
func FuzzOpen(f *testing.F) {
	data := storeData(f, testDocuments())
	f.Add(data[metadataFile], data[stringsFile])
	f.Add(storeData(f, nil)[metadataFile], []byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 300), []byte{})
	tokens := data[tokensFile]
	f.Fuzz(func(t *testing.T, metadata, stringBytes []byte) {
		metadata = slices.Clone(metadata)
		if len(metadata) >= headerSize {
			at := headerSize - 2*sha256.Size - 24
			binary.LittleEndian.PutUint64(metadata[at:], uint64(len(tokens)/4))
			binary.LittleEndian.PutUint64(metadata[at+8:], uint64(len(stringBytes)))
			sum := sha256.Sum256(stringBytes)
			copy(metadata[headerSize-sha256.Size:], sum[:])
		}
		s, err := newStore(reseal(metadata), stringBytes, tokens)
		if err != nil {
			return
		}
		defer s.Close()
		n := 0
		for k := range s.Shards() {
			for _, i := range s.Shard(k) {
				c := s.Chunk(i)
				if c.Shard != k || c.Tokens != len(s.Tokens(i)) || c.Tokens == 0 || c.Lang >= len(s.Langs()) {
					t.Fatalf("shard %d has chunk %+v", k, c)
				}
				n++
			}
		}
		if n != s.Len() {
			t.Fatalf("the shards have %d chunks, the store %d", n, s.Len())
		}
		for doc := range s.Documents() {
			_ = s.DocumentID(doc) + s.Group(doc)
		}
		s.Verify()
	})
}
