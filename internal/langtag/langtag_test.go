package langtag

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for tag, want := range map[string]string{
		"de": "de", "DE": "de", "de_DE": "de-DE", "DE-de": "de-DE", "deu": "de", "ger": "de", "deu_Latn": "de-Latn",
		"zh-tw": "zh-TW", "ZH_HANS_cn": "zh-Hans-CN", "es-419": "es-419", "de-1996": "de-1996",
		"iw": "he", "iw_IL": "he-IL", "in": "id", "i-klingon": "tlh", "zh-yue": "yue", "und": "und",
		// Not registered.
		"XX": "xx", "xx_latn_zz": "xx-Latn-ZZ", "aa-SAAHO": "aa-saaho", "xx-X-AB-Latn": "xx-x-ab-Latn",
	} {
		got, err := Canonical(tag)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", tag, got, err, want)
		}
		if again, err := Canonical(got); err != nil || again != got {
			t.Errorf("%q, the canonical form of %q, becomes %q, %v", got, tag, again, err)
		}
	}
	for _, tag := range []string{"", "d", "english", "</s>", "de-", "de DE", " de", "zh_classical", "de--DE", "dé",
		"xx-!", "xx-toolongtag"} {
		if got, err := Canonical(tag); err == nil || !strings.Contains(err.Error(), `"`+tag+`"`) {
			t.Errorf("%q: %q, error %v, want one that names the tag", tag, got, err)
		}
	}
}

// Tags of any length take little time.
func TestLongTags(t *testing.T) {
	longest := "en-x" + strings.Repeat("-aaaaaaa", 12)
	if got, err := Canonical(longest); err != nil || got != longest {
		t.Errorf("%q: %q, %v", longest, got, err)
	}
	long := "en" + strings.Repeat("-aaaaaaaa", 1<<18)
	if _, err := Canonical(long); err == nil || len(err.Error()) > 200 ||
		!strings.Contains(err.Error(), "of 2359298 bytes") {
		t.Errorf("error %.300v, want one that tells the length", err)
	}
}

func TestMatch(t *testing.T) {
	known := []string{"en", "pt-BR", "de", "zh_TW", "zh", "de-AT", "sr", "not a tag", "iw", "pt"}
	for tag, want := range map[string]string{
		"de": "de", "DE": "de", "de_DE": "de", "de-at": "de-AT", "de-AT-1996": "de-AT", "zh-tw": "zh_TW", "zh-Hant-TW": "zh",
		"sr-Latn-RS": "sr", "he": "iw", "he-IL": "iw", "pt-PT": "pt", "en-x-simple": "en",
	} {
		if i, ok := Match(tag, known); !ok || known[i] != want {
			t.Errorf("%q matches %q, %t, want %q", tag, known[i], ok, want)
		}
	}
	for _, tag := range []string{"fr", "", "not a tag", "d", "e", "und"} {
		if i, ok := Match(tag, known); ok {
			t.Errorf("%q matches %q", tag, known[i])
		}
	}
	if i, ok := Match("de", []string{"de-AT"}); ok {
		t.Errorf("de matches de-AT, number %d", i)
	}
}

// Whatever a tag becomes, it stays.
func FuzzCanonical(f *testing.F) {
	for _, tag := range []string{"de_DE", "zh-cmn-Hans-CN", "i-klingon", "en-x-a", "xx-Latn", "sl-rozaj-biske-1994",
		"de-u-co-phonebk"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		canonical, err := Canonical(tag)
		if err != nil {
			return
		}
		if again, err := Canonical(canonical); err != nil || again != canonical {
			t.Errorf("%q becomes %q, and that %q, %v", tag, canonical, again, err)
		}
		if _, ok := Match(canonical, []string{tag}); !ok {
			t.Errorf("%q does not match %q", canonical, tag)
		}
	})
}
