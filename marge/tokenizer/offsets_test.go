package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// The bytes between the offsets are those of the tokens, whatever the text.
func TestEncodeOffsets(t *testing.T) {
	texts := []string{
		"", " ", "a", "the quick brown fox", "  two  spaces\n\n\tand tabs ",
		"法国的首都是巴黎。", "عاصمة فرنسا هي باريس", "नई दिल्ली भारत की राजधानी है",
		"cafe\u0301 and café", "a\u0323\u0302 o\u0308", // combining marks
		"ﬁne oﬃce ㍿ ½ ﷺ", // what NFKC would expand
		"👩‍👩‍👧‍👦 and 🇩🇪 👍🏽", "de_XX </s> <s>", "\xff\xfe half \xe4\xb8",
	}
	twice := slices.Concat(texts[2:11], texts[2:11]) // so that there are tokens of several characters
	tok, err := Train(slices.Values(twice), TrainOptions{VocabSize: 330, Languages: []string{"de"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		ids, offsets := tok.EncodeOffsets(text)
		if !slices.Equal(ids, tok.Encode(text)) {
			t.Errorf("%q: ids %v, want those of Encode", text, ids)
		}
		if len(offsets) != len(ids)+1 || offsets[0] != 0 || offsets[len(ids)] != len(text) {
			t.Errorf("%q: offsets %v of %d tokens", text, offsets, len(ids))
			continue
		}
		for i := range ids {
			if got := text[offsets[i]:offsets[i+1]]; got != string(tok.DecodeBytes(ids[i:i+1])) || got == "" {
				t.Errorf("%q: token %d is %q, its place has %q", text, i, tok.DecodeBytes(ids[i:i+1]), got)
			}
		}
	}
}

func FuzzEncodeOffsets(f *testing.F) {
	tok, err := Train(slices.Values(strings.Fields("a aa aab 巴黎 巴")), TrainOptions{VocabSize: 270})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("aab 巴黎\xff")
	f.Fuzz(func(t *testing.T, text string) {
		ids, offsets := tok.EncodeOffsets(text)
		for i := range ids {
			if text[offsets[i]:offsets[i+1]] != string(tok.DecodeBytes(ids[i:i+1])) {
				t.Fatalf("%q: token %d is not at its place", text, i)
			}
		}
		if offsets[len(ids)] != len(text) {
			t.Fatalf("%q: the last token ends at %d", text, offsets[len(ids)])
		}
	})
}
