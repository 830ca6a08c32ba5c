package task

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
)

func TestReadSummaries(t *testing.T) {
	path := file(t, "x", `{"text":" Ein Text.\nZwei ","summary":"Text","lang":"de_DE","Text":"x","id":7}

{"text":"A text","summary":"text"}`)
	got, err := ReadSummaries(path, "en")
	want := []marge.Pair{
		{Source: "Ein Text.\nZwei", Target: "Text", SourceLang: "de-DE", TargetLang: "de-DE", Where: path + ":1"},
		{Source: "A text", Target: "text", SourceLang: "en", TargetLang: "en", Where: path + ":3"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"text":"a","summary":"b"}`:                        "x:1: lang:",
		"\n" + `{"text":"a","summary":" ","lang":"de"}`:     "x:2: summary is missing or empty",
		`{"Text":"a","summary":"b","lang":"de"}`:            "x:1: text is missing or empty",
		`{"text":["a"],"summary":"b","lang":"de"}`:          "x:1: ",
		`{"text":"a","summary":"b","lang":"de"} {}`:         "x:1: ",
		`{"text":"a","text":"b","summary":"c","lang":"de"}`: "x:1: ",
		`{"text":"a","summary":"b","lang":"German, or so"}`: "x:1: lang:",
	} {
		_, err := ReadSummaries(file(t, "x", text), "")
		failure(t, text, err, want)
	}
}

func TestSentences(t *testing.T) {
	for _, want := range [][]string{
		{"Mr. Smith met J. R. Baker on the 5th.", "Why?", "He “knew” it!", "“Really?”"},
		{"Am 3. März kam Dr. Meier.", "Es kostet ca. 3.50 Euro.", "Es war 1990.", "Dann kam 2001."},
		{"El Sr. García llegó a las 7.", "¿Por qué?", "¡No!"},
		{"Il est 7 h 30.", "«\u00a0Non\u00a0!\u00a0», dit-elle.", "Qui\u00a0?"},
		{"Он приехал в 7.30.", "В 1990 г. Москва была другой.", "«Да!»"},
		{"Τι ώρα είναι; Δεν ξέρω.", "Όχι!"}, // the Greek question mark is a semicolon
		{"The third (3.5 m, e.g. this one).", "Is it over...", "No."},
		{"नमस्ते।", "आप कैसे हैं?"},
		{"no full stop"},
	} {
		text := strings.Join(want, " ")
		if got := Sentences(text); !slices.Equal(got, want) {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
	}
	for _, want := range [][]string{
		{"今日は晴れです。", "明日は雨でしょう!", "本当か？", "「はい。」と言った。", "「いいえ。」", "彼は帰った。"},
		{"2月14日午後(現地。日本時間15日早朝)、「行く。帰る。」と言った。", "(終わり"},
		{"火车开了。", "他说：“好！”", "“走。”", "然后走了"},
	} {
		text := strings.Join(want, "")
		if got := Sentences(text); !slices.Equal(got, want) {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
	}
	if got := Sentences("a line\nanother line.\n\n (1) A third"); len(got) != 3 {
		t.Errorf("lines %q", got)
	}
	if got := Sentences("nothing (["); !slices.Equal(got, []string{"nothing (["}) {
		t.Errorf("open brackets: %q", got)
	}
	for _, text := range []string{"", " \n", "\u3000"} {
		if got := Sentences(text); len(got) != 0 {
			t.Errorf("%q has sentences %q", text, got)
		}
	}
	if got := FirstSentences([]string{"One. Two.", "", "一。二。"}); !slices.Equal(got, []string{"One.", "", "一。"}) {
		t.Errorf("first sentences %q", got)
	}
}

func TestOracleSummary(t *testing.T) {
	text := "It rained all day. A ferry sank near Oslo. Nobody was hurt. The owner, a company from Riga, paid 35 people."
	for summary, want := range map[string]string{
		"Ferry sank near Oslo, nobody hurt": "A ferry sank near Oslo. Nobody was hurt.",
		"35 people from Riga, a ferry sank": "A ferry sank near Oslo. The owner, a company from Riga, paid 35 people.",
		"35 people":                         "The owner, a company from Riga, paid 35 people.",
		"Nothing like that":                 "",
	} {
		if got, err := OracleSummary(t.Context(), text, summary); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", summary, got, err, want)
		}
	}
	got, err := OracleSummaries(t.Context(), []marge.Pair{{Source: "彼は来た。船が沈んだ。", Target: "船、沈む"}})
	if err != nil || !slices.Equal(got, []string{"船が沈んだ。"}) {
		t.Errorf("%q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OracleSummaries(ctx, []marge.Pair{{Source: text, Target: "ferry"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
