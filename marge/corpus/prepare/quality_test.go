package prepare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// Texts that read well, in scripts of all kinds.
var readable = map[string]string{
	"en": "The council has decided to build a new bridge over the river, which will be open to walkers and cyclists. " +
		"Work is to begin in spring and should take two years. The old bridge, built after the war, had been closed " +
		"since engineers found cracks in three of its arches. Many people who live on the other side of the valley " +
		"have had to drive for an hour to reach the hospital.",
	"de": "Der Rat hat beschlossen, eine neue Brücke über den Fluss zu bauen, die für Fußgänger und Ra" +
		"dfahrer offen " +
		"ist. Die Arbeiten sollen im Frühjahr beginnen und zwei Jahre dauern. Die alte Brücke war gesperrt worden, " +
		"nachdem Ingenieure Risse in drei Bögen gefunden hatten. Viele Anwohner mussten seither eine Stunde fahren, um " +
		"das Krankenhaus zu erreichen, und hatten sich mehrfach beschwert, ohne dass etwas geschah.",
	"zh": "市议会决定在河上修建一座新桥，供行人和骑自行车的人使用。工程将于" +
		"春季开始，预计需要两年时间。旧桥建于战后，" +
		"自从工程师在三个桥拱中发现裂缝以来一直关闭。住在山谷另一边的许多" +
		"居民不得不开车一个小时才能到达医院。" +
		"他们曾多次向政府抱怨，但是没有得到任何答复。新桥的费用由州政府和" +
		"市政府共同承担。",
	"th": "สภาเมืองตัดสินใจสร้างสะพานใหม่ข้" +
		"ามแม่น้ำซึ่งจะเปิดให้คนเดินเท้าแ" +
		"ละนักปั่นจักรยานใช้ งานจะเริ่มใน" +
		"ฤดูใบไม้ผลิ" +
		"และคาดว่าจะใช้เวลาสองปี สะพานเก่" +
		"าที่สร้างหลังสงครามถูกปิดตั้งแต่" +
		"วิศวกรพบรอยร้าว ชาวบ้านจำนวนมากต" +
		"้องขับรถหนึ่งชั่วโมงไปโรงพยาบาล",
	"hi": "नगर परिषद ने नदी पर एक नया पुल बनाने क" +
		"ा फैसला किया है जो पैदल चलने वालों और " +
		"साइकिल सवारों के लिए खुला रहेगा। " +
		"काम वसंत में शुरू होगा और इसमें दो सा" +
		"ल लगने चाहिए। युद्ध के बाद बना पुरान" +
		"ा पुल तब से बंद है जब इंजीनियरों को उस" +
		"के तीन " +
		"मेहराबों में दरारें मिलीं। घाटी के द" +
		"ूसरी ओर रहने वाले कई लोगों को अस्पता" +
		"ल पहुँचने के लिए एक घंटा गाड़ी चलानी " +
		"पड़ती है।",
}

func TestQualityKeeps(t *testing.T) {
	for lang, text := range readable {
		if _, reason := (Quality{}).Filter(corpus.Document{Text: normal(text)}); reason != "" {
			t.Errorf("%s is dropped: %s", lang, reason)
		}
	}
}

// numbersOf returns n words that differ.
func numbersOf(n int, format string) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprintf(format, i*7919))
	}
	return strings.Join(words, " ")
}

func TestQualityDrops(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	lines := func(prefix, suffix string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(prefix + strings.ReplaceAll(strings.TrimSuffix(prose(r, 12), "."), "\n", "") + suffix + "\n")
		}
		return b.String()
	}
	unit := func(s string, n int) string { return strings.Repeat(s, n) }
	phrase := strings.TrimSuffix(prose(r, 12), ".")
	for _, c := range []struct {
		name string
		text string
		want Reason
		off  Quality // turns the rule off
	}{
		{"49 words", prose(r, 49), TooShort, Quality{MinWords: -1}},
		{"99 Chinese characters", string([]rune(readable["zh"])[:99]), TooShort, Quality{MinWords: -1}},
		{"too many words", prose(r, 100_001), TooLong, Quality{MaxWords: -1}},
		{"numbers", numbersOf(80, "%08d"), FewLetters, Quality{MinLetters: -1, MinWordLength: -1}},
		{"single letters", unit("a b c d e f g h i j k l m n o p q r s t u v w x y z ", 4), WordLength,
			Quality{MinWordLength: -1, MaxPhrase: [3]float64{-1, -1, -1}, MaxRepeatedPhrases: -1}},
		{"endless words", prose(r, 60) + strings.ReplaceAll(lines("", "", 40), " ", ""), WordLength,
			Quality{MaxWordLength: -1}},
		{"hash signs", strings.ReplaceAll(prose(r, 100), "ba", "ba#"), Symbols, Quality{MaxSymbols: -1}},
		{"ellipses", strings.ReplaceAll(prose(r, 100), "fi", "fi …"), Symbols, Quality{MaxSymbols: -1}},
		{"list", lines("• ", "", 20), Lists, Quality{MaxBullets: -1}},
		{"cut lines", lines("", "...", 10) + lines("", "", 10), Lists, Quality{MaxCut: -1}},
		{"half of the lines twice", prose(r, 60) + "\n" + unit("Home\nAbout\n", 4), RepeatedLines,
			Quality{MaxRepeatedLines: -1}},
		{"much text twice", func() string { p := lines("", "", 6); return p + p[:len(p)/2] + "x" }(), RepeatedLines,
			Quality{MaxRepeatedText: -1, MaxRepeatedLines: -1, MaxRepeatedPhrases: -1}},
		{"phrase of two words", strings.ReplaceAll(prose(r, 200), "ba", " buy now "), RepeatedPhrases,
			Quality{MaxPhrase: [3]float64{-1, -1, -1}, MaxRepeatedPhrases: -1, MinWordLength: -1}},
		{"phrase of twelve words", phrase + " " + prose(r, 90) + " and " + phrase, RepeatedPhrases,
			Quality{MaxRepeatedPhrases: -1}},
		{"Chinese phrase", readable["zh"] + unit("最新消息请点击这里，", 4), RepeatedPhrases,
			Quality{MaxPhrase: [3]float64{-1, -1, -1}, MaxRepeatedPhrases: -1}},
		{"filler", prose(r, 100) + " Lorem ipsum dolor", Boilerplate, Quality{MaxBoilerplate: -1}},
		{"notices", lines("", "", 6) + "We use cookies\nPlease enable JavaScript\n", Boilerplate,
			Quality{MaxBoilerplate: -1}},
	} {
		doc := corpus.Document{Text: normal(c.text)}
		if _, reason := (Quality{}).Filter(doc); reason != c.want {
			t.Errorf("%s: %q, want %q", c.name, reason, c.want)
		}
		if _, reason := c.off.Filter(doc); reason != "" {
			t.Errorf("%s, with the rule off: %q", c.name, reason)
		}
	}
	if _, err := (Quality{MaxCut: math.NaN()}).resolve(); err == nil {
		t.Error("a limit that is not a number is accepted")
	}
}

func TestTokens(t *testing.T) {
	var got []string
	for tok := range tokens("Don't stop, 3 Köche! 中文とเก่าๆ。 हिन्दी a中b") {
		got = append(got, tok.text)
	}
	want := strings.Fields("Don t stop 3 Köche 中 文 と เ ก่ า ๆ हिन्दी a 中 b")
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for tok := range tokens("one two") {
		if tok.text == "one" {
			break // ends the sequence
		}
		t.Error("goes on")
	}
}

func TestLanguage(t *testing.T) {
	keep := Languages{Keep: []string{"de", "pt-BR"}}
	for _, c := range []struct {
		l      Languages
		lang   string
		text   string
		want   string
		reason Reason
	}{
		{Languages{}, "de_at", "", "de-AT", ""},
		{Languages{}, source.Undetermined, readable["de"], "de", ""},
		{Languages{}, "", readable["zh"], "zh", ""},
		{Languages{}, "no tag at all", readable["hi"], "hi", ""},
		{Languages{}, source.Undetermined, "Ok", source.Undetermined, UnsureLanguage},
		{keep, "de-AT", "", "de-AT", ""}, {keep, "en", "", "en", OtherLanguage}, {keep, "pt", "", "pt", OtherLanguage},
	} {
		doc, reason := c.l.Language(corpus.Document{Lang: c.lang, Text: c.text})
		if doc.Lang != c.want || reason != c.reason {
			t.Errorf("%q %.20q: %q, %q; want %q, %q", c.lang, c.text, doc.Lang, reason, c.want, c.reason)
		}
	}
	if err := (Languages{Keep: []string{"?"}}).check(); err == nil {
		t.Error("? is accepted as a language")
	}
}
