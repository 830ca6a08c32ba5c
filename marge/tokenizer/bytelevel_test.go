package tokenizer

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

const fixtureFile = "testdata/tokenizer.json"

var fixtureLanguages = []string{"ar", "de", "en", "pt-BR", "sr-Latn", "zh-CN"}

func fixture(tb testing.TB) *BPE {
	tb.Helper()
	t, err := loadBPE(fixtureFile)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func corpusLines(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// testdata/tokenizer.json and testdata/parity.json come from the Python
// package: bench/peers/tokenizer_parity.py fixture.
func TestParity(t *testing.T) {
	tok := fixture(t)
	data, err := os.ReadFile("testdata/parity.json")
	if err != nil {
		t.Fatal(err)
	}
	type parityCase struct {
		Text string
		IDs  []int32
	}
	var parity struct{ Encode, Decode []parityCase }
	if err := json.Unmarshal(data, &parity); err != nil {
		t.Fatal(err)
	}
	if len(parity.Encode) < 60 || len(parity.Decode) < 10 {
		t.Fatalf("the fixture has only %d and %d cases", len(parity.Encode), len(parity.Decode))
	}
	for range 2 { // without and with the cache
		for _, c := range parity.Encode {
			if got := tok.Encode(c.Text); !slices.Equal(got, c.IDs) {
				t.Errorf("Encode(%q) = %v, want %v", c.Text, got, c.IDs)
			}
			if got := tok.Decode(c.IDs); got != c.Text {
				t.Errorf("Decode(%v) = %q, want %q", c.IDs, got, c.Text)
			}
		}
	}
	for _, c := range parity.Decode {
		if got := tok.Decode(c.IDs); got != c.Text {
			t.Errorf("Decode(%v) = %q, want %q", c.IDs, got, c.Text)
		}
	}
}

func TestTrainIsThatOfPython(t *testing.T) {
	want, err := os.ReadFile(fixtureFile)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tok, err := Train(slices.Values(corpusLines(t)), TrainOptions{VocabSize: 800, Languages: fixtureLanguages})
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		n, err := tok.WriteTo(&got)
		if err != nil || n != int64(got.Len()) {
			t.Fatalf("WriteTo = %d, %v; wrote %d", n, err, got.Len())
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("the trained file is not %s (%d bytes, want %d)", fixtureFile, got.Len(), len(want))
		}
	}
}

func TestTokens(t *testing.T) {
	tok := fixture(t)
	if n := tok.VocabSize(); n != 800 {
		t.Errorf("VocabSize() = %d, want 800", n)
	}
	for id := range int32(800) {
		if got, ok := tok.ID(tok.Token(id)); !ok || got != id {
			t.Errorf("ID(Token(%d)) = %d, %t", id, got, ok)
		}
		if got := tok.IsSpecial(id); got != (id < 10) {
			t.Errorf("IsSpecial(%d) = %t", id, got)
		}
	}
	for id, want := range map[int32]string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>", 7: "pt_BR", 10: "!",
		-1: "", 800: ""} {
		if got := tok.Token(id); got != want {
			t.Errorf("Token(%d) = %q, want %q", id, got, want)
		}
	}
	if _, ok := tok.ID("no such token"); ok {
		t.Error("ID of a token that is not there")
	}
}

func TestLanguages(t *testing.T) {
	tok := fixture(t)
	if got := tok.Languages(); !slices.Equal(got, fixtureLanguages) {
		t.Errorf("Languages() = %v, want %v", got, fixtureLanguages)
	}
	for lang, want := range map[string]string{"de": "de_XX", "DE": "de_XX", "pt-BR": "pt_BR", "pt-br": "pt_BR",
		"zh-CN": "zh_CN", "sr-latn": "sr_Latn",
		"de_DE": "de_XX", "deu-AT": "de_XX", "pt_BR": "pt_BR", "pt-BR-abl1943": "pt_BR", "en-x-simple": "en_XX"} {
		id, err := tok.LanguageToken(lang)
		if err != nil || tok.Token(id) != want {
			t.Errorf("LanguageToken(%q) = %d (%s), %v; want %s", lang, id, tok.Token(id), err, want)
		}
	}
	for _, lang := range []string{"fr", "pt", "pt-PT", "", "german", "zh"} {
		if _, err := tok.LanguageToken(lang); err == nil || !strings.Contains(err.Error(), "sr-Latn") {
			t.Errorf("LanguageToken(%q): error %v, want one that names the languages", lang, err)
		}
	}
}

func TestCheckLanguages(t *testing.T) {
	tok := fixture(t)
	if err := tok.CheckLanguages([]string{"de-DE", "EN", "pt_br"}); err != nil {
		t.Error(err)
	}
	err := tok.CheckLanguages([]string{"fr", "de", "pt", "fr-CA"})
	if err == nil || !strings.Contains(err.Error(), `languages ["fr" "pt" "fr-CA"]; there are ar, de, en`) {
		t.Errorf("error %v, want one that names the missing and the known languages", err)
	}
	err = tok.CheckLanguages([]string{"de", "fr"})
	if err == nil || !strings.Contains(err.Error(), `no token for language "fr"; `) {
		t.Errorf("error %v, want one that names fr", err)
	}
}

// A language has one token however its tag is spelled, and files with tokens
// of deprecated tags load.
func TestLanguageSpellings(t *testing.T) {
	tok, err := Train(slices.Values(corpusLines(t)),
		TrainOptions{VocabSize: 300, Languages: []string{"DE_at", "iw", "zh-tw"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Languages(), []string{"de-AT", "he", "zh-TW"}; !slices.Equal(got, want) {
		t.Errorf("languages %q, want %q", got, want)
	}
	data := new(bytes.Buffer)
	if _, err := tok.WriteTo(data); err != nil {
		t.Fatal(err)
	}
	old, err := readBPE(strings.NewReader(strings.ReplaceAll(data.String(), "he_XX", "iw_XX")))
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"iw", "he", "he-IL"} {
		if id, err := old.LanguageToken(lang); err != nil || old.Token(id) != "iw_XX" {
			t.Errorf("%s: %q, %v", lang, old.Token(id), err)
		}
	}
	if _, err := tok.LanguageToken("de"); err == nil {
		t.Error("de has the token of de-AT")
	}
}

func TestFingerprint(t *testing.T) {
	train := func(size int, langs ...string) *BPE {
		tok, err := Train(slices.Values(corpusLines(t)), TrainOptions{VocabSize: size, Languages: langs})
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	tok := train(320, "de", "en")
	want := tok.Fingerprint()
	if len(want) != 64 {
		t.Errorf("fingerprint %q", want)
	}
	data := new(bytes.Buffer)
	if _, err := tok.WriteTo(data); err != nil {
		t.Fatal(err)
	}
	compact := new(bytes.Buffer)
	if err := json.Compact(compact, data.Bytes()); err != nil {
		t.Fatal(err)
	}
	again, err := readBPE(compact)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Fingerprint(); got != want {
		t.Errorf("fingerprint %s after writing and reading, want %s", got, want)
	}
	swapped := train(320, "de", "en") // two merges in another order
	m := swapped.bpe.merges
	m[len(m)-1], m[len(m)-2] = m[len(m)-2], m[len(m)-1]
	plain := train(320, "de", "en")
	plain.special[5] = false
	for name, other := range map[string]*BPE{
		"a merge less": train(319, "de", "en"), "other languages": train(320, "de", "fr"),
		"the order of languages": train(320, "en", "de"),
		"the order of merges":    swapped, "what is special": plain,
	} {
		if other.Fingerprint() == want {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
}

// matchLen is splitPattern over the classes of this package, for Go's regexp,
// which has no \s of Unicode and no look-ahead.
func matchLen(s string, patterns []*regexp.Regexp) int {
	for i, p := range patterns {
		if m := p.FindString(s); m != "" {
			if i == 3 && len(m) < len(s) { // (?!\S): give back one character
				_, size := utf8.DecodeLastRuneInString(m)
				if m = m[:len(m)-size]; m == "" {
					continue
				}
			}
			return len(m)
		}
	}
	return 0
}

func TestPieces(t *testing.T) {
	const space = `\t-\r\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	var patterns []*regexp.Regexp
	for _, p := range []string{
		`^ ?[\p{L}\p{M}\x{200C}\x{200D}]+`,
		`^ ?\p{N}{1,3}`,
		`^ ?[^` + space + `\p{L}\p{M}\p{N}\x{200C}\x{200D}]+`,
		`^[` + space + `]+`,
		`^[` + space + `]+`,
	} {
		patterns = append(patterns, regexp.MustCompile(p))
	}
	// All of these have had the same class since before Unicode 15.
	alphabet := []rune("aZé\u0301Жक्ि\u200c\u200dด้中ᄒ" + "09²Ⅷ१" +
		" \n\r\t\u00a0\u2003\u3000\u0085" + ".'_-€😀\u200b\ufeff\x00")
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteRune(alphabet[r.IntN(len(alphabet))])
		}
		for s := b.String(); len(s) > 0; {
			got, want := pieceLen(s), matchLen(s, patterns)
			if got != want {
				t.Fatalf("piece at the start of %q is %q, want %q", s, s[:got], s[:want])
			}
			s = s[got:]
		}
	}
}

// naive merges by the definition: the pair of lowest rank, leftmost first.
func naive(b *bpe, piece string) []int32 {
	var ids []int32
	for i := range len(piece) {
		ids = append(ids, b.bytes[piece[i]])
	}
	for {
		at, best := -1, int32(len(b.merges))
		for i := range len(ids) - 1 {
			if rank, ok := b.ranks[pairOf(ids[i], ids[i+1])]; ok && rank < best {
				at, best = i, rank
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = b.merges[best].id
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func TestMergesByDefinition(t *testing.T) {
	tok := fixture(t)
	r := rand.New(rand.NewPCG(3, 4))
	lines := strings.Join(corpusLines(t), "")
	for range 3000 {
		var piece []byte
		for range 1 + r.IntN(20) {
			i := r.IntN(len(lines) - 8)
			piece = append(piece, lines[i:i+1+r.IntN(8)]...)
		}
		got, want := tok.bpe.appendMerged(nil, string(piece)), naive(tok.bpe, string(piece))
		if !slices.Equal(got, want) {
			t.Fatalf("merging %q gives %v, want %v", piece, got, want)
		}
	}
}

func TestRoundTripOfEveryCharacter(t *testing.T) {
	tok := fixture(t)
	var b strings.Builder
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			b.WriteRune(r)
		}
	}
	text := b.String()
	ids := tok.Encode(text)
	if tok.Decode(ids) != text {
		t.Error("a text of all characters does not come back")
	}
	for _, id := range ids {
		if tok.IsSpecial(id) {
			t.Fatalf("special token %d in encoded text", id)
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	tok := fixture(t)
	for _, s := range []string{"\xff", "a\xc3", "\xe2\x82 \x80\x80", "\xed\xa0\x80x", "ok \xf0\x9f"} {
		ids := tok.Encode(s)
		if got := string(tok.DecodeBytes(ids)); got != s {
			t.Errorf("DecodeBytes(Encode(%q)) = %q", s, got)
		}
		if got := tok.Decode(ids); !utf8.ValidString(got) || !strings.Contains(got, "\ufffd") {
			t.Errorf("Decode(Encode(%q)) = %q", s, got)
		}
	}
}

func TestConcurrentEncode(t *testing.T) {
	tok := fixture(t)
	lines := corpusLines(t)
	want := make([][]int32, len(lines))
	for i, line := range lines {
		want[i] = fixture(t).Encode(line)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 * len(lines) {
				i = (i*7 + g) % len(lines)
				if got := tok.Encode(lines[i]); !slices.Equal(got, want[i]) {
					t.Errorf("Encode(%q) = %v, want %v", lines[i], got, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

// A word without an end must not take quadratic time: 2 MB would take hours.
func TestLongWord(t *testing.T) {
	tok := fixture(t)
	for _, unit := range []string{"a", "wordsthatneverend", "語彙は文章から", "=", " \t"} {
		text := strings.Repeat(unit, 2_000_000/len(unit))
		if tok.Decode(tok.Encode(text)) != text {
			t.Errorf("%q repeated does not come back", unit)
		}
	}
}

func TestAppendEncode(t *testing.T) {
	tok := fixture(t)
	got := tok.AppendEncode([]int32{BOS}, "the meaning")
	if want := append([]int32{BOS}, tok.Encode("the meaning")...); !slices.Equal(got, want) {
		t.Errorf("AppendEncode = %v, want %v", got, want)
	}
	// One piece only, since two may take each other's place in the cache.
	line := strings.Repeat(" unterschiedlich", 20)
	ids := tok.Encode(line)
	if n := testing.AllocsPerRun(100, func() { ids = tok.AppendEncode(ids[:0], line) }); n > 0 {
		t.Errorf("AppendEncode of a known word allocates %v times", n)
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, line := range corpusLines(f) {
		f.Add(line)
	}
	f.Add("\xff\xf0\x9f</s> \r\n\u200d")
	tok := fixture(f)
	f.Fuzz(func(t *testing.T, s string) {
		ids := tok.Encode(s)
		if got := string(tok.DecodeBytes(ids)); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
		if got := tok.Decode(ids); utf8.ValidString(s) && got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
		var want []int32
		for rest := s; len(rest) > 0; {
			n := pieceLen(rest)
			if n <= 0 || n > len(rest) {
				t.Fatalf("piece of %q has length %d", rest, n)
			}
			want = append(want, naive(tok.bpe, rest[:n])...)
			rest = rest[n:]
		}
		if !slices.Equal(ids, want) {
			t.Errorf("Encode(%q) = %v, want %v", s, ids, want)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := fixture(b)
	text := strings.Join(corpusLines(b), "\n")
	b.SetBytes(int64(len(text)))
	var ids []int32
	for b.Loop() {
		ids = tok.AppendEncode(ids[:0], text)
	}
}

func BenchmarkEncodeUncached(b *testing.B) {
	tok := fixture(b)
	var pieces []string
	bytes := 0
	for _, line := range corpusLines(b) {
		bytes += len(line)
		for len(line) > 0 {
			n := pieceLen(line)
			pieces = append(pieces, line[:n])
			line = line[n:]
		}
	}
	b.SetBytes(int64(bytes))
	var ids []int32
	for b.Loop() {
		for _, p := range pieces {
			ids = tok.bpe.appendMerged(ids[:0], p)
		}
	}
}
