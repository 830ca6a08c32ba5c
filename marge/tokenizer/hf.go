package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/marge-go/marge/internal/jsonx"
)

// hfFile is a tokenizer.json whose components may be any.
type hfFile struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// component is a normaliser, a pre-tokenizer or a decoder, with the members of
// all of their types.
type component struct {
	Type string `json:"type"`

	Normalizers   []component `json:"normalizers"`
	Pretokenizers []component `json:"pretokenizers"`
	Decoders      []component `json:"decoders"`

	Charsmap   string     `json:"precompiled_charsmap"`
	Pattern    *hfPattern `json:"pattern"`
	Content    string     `json:"content"`
	StripLeft  bool       `json:"strip_left"`
	StripRight bool       `json:"strip_right"`
	Prepend    string     `json:"prepend"`

	Replacement    string `json:"replacement"`
	PrependScheme  string `json:"prepend_scheme"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	Split          *bool  `json:"split"`
	UseRegex       *bool  `json:"use_regex"`
	Start          int    `json:"start"`
}

type hfPattern struct {
	String *string
	Regex  *string
}

// parseComponents returns the parts of a sequence, or the one component that
// there is; none for null.
func parseComponents(name string, value json.RawMessage) ([]component, error) {
	if isNull(value) {
		return nil, nil
	}
	var c component
	if err := jsonx.Unmarshal(value, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.flatten(nil), nil
}

func (c *component) flatten(parts []component) []component {
	if c.Type != "Sequence" {
		return append(parts, *c)
	}
	for _, list := range [][]component{c.Normalizers, c.Pretokenizers, c.Decoders} {
		for i := range list {
			parts = list[i].flatten(parts)
		}
	}
	return parts
}

// scoredVocab is the vocabulary of a Unigram model: pairs of token and score.
type scoredVocab []scoredToken

type scoredToken struct {
	token string
	score float64
}

func (v *scoredVocab) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*v = nil
	return elements(d, '[', func() error {
		if len(*v) == maxTokens {
			return fmt.Errorf("has more than %d tokens", maxTokens)
		}
		var pair []jsontext.Value
		err := elements(d, '[', func() error {
			value, err := d.ReadValue()
			if len(pair) < 3 {
				pair = append(pair, slices.Clone(value))
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(pair) != 2 || pair[0].Kind() != '"' || pair[1].Kind() != '0' {
			return fmt.Errorf("token %d is not a pair of a text and a score", len(*v))
		}
		t := scoredToken{score: parseScore(string(pair[1]))}
		if err := jsonx.Unmarshal(pair[0], &t.token); err != nil {
			return err
		}
		if math.IsInf(t.score, 0) {
			return fmt.Errorf("token %.100q has the score %.100s", t.token, pair[1])
		}
		*v = append(*v, t)
		return nil
	})
}

// parseScore reads a JSON number as the Rust package serde_json does, which
// `tokenizers` uses: the digits as one integer, as many as 64 bits hold, made a
// float64 and then divided or multiplied by a power of ten. So the result may
// be off by one unit in the last place, and with it the order of two
// segmentations that are otherwise equal.
func parseScore(number string) float64 {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	power := 0
	for _, c := range strings.TrimLeft(exponent, "+-") {
		power = min(power*10+int(c-'0'), 10_000)
	}
	if strings.HasPrefix(exponent, "-") {
		power = -power
	}
	var digits uint64
	fraction, full := false, false
	for _, c := range strings.TrimPrefix(mantissa, "-") {
		if c == '.' {
			fraction = true
			continue
		}
		d := uint64(c - '0')
		full = full || digits > (math.MaxUint64-d)/10
		switch {
		case !full:
			digits = digits*10 + d
			if fraction {
				power--
			}
		case !fraction:
			power++
		}
	}
	score := float64(digits)
	for ; power < -308 && score != 0; power += 308 {
		score /= 1e308
	}
	switch {
	case score == 0:
	case power > 308:
		score *= math.Inf(1)
	case power >= 0:
		score *= powerOfTen(power)
	case power >= -308:
		score /= powerOfTen(-power)
	}
	if strings.HasPrefix(number, "-") {
		score = -score
	}
	return score
}

// powerOfTen returns 10^n, rounded once.
func powerOfTen(n int) float64 {
	power, _ := strconv.ParseFloat("1e"+strconv.Itoa(n), 64)
	return power
}

// maxGrowth is how many times longer normalisers may make a text.
const maxGrowth = 1 << 14

// parseNormalizers makes the normalisers of a file.
func parseNormalizers(value json.RawMessage) (list []normalizer, err error) {
	parts, err := parseComponents("normalizer", value)
	if err != nil {
		return nil, err
	}
	growth := 1
	for _, c := range parts {
		n, err := c.normalizer()
		if err != nil {
			return nil, fmt.Errorf("normalizer: %s: %w", c.Type, err)
		}
		list = append(list, n)
		switch n := n.(type) {
		case *precompiled:
			growth *= max(n.longestText, 1)
		case *replaced:
			growth *= max(len(n.by), 1)
		case prefixed:
			growth *= len(n) + 1
		case *normalForm:
			growth *= 11 // the longest decomposition, of U+FDFA
		}
		if growth > maxGrowth {
			return nil, fmt.Errorf("normalizer: a text may become %d times longer, which is more than %d", growth, maxGrowth)
		}
	}
	return list, nil
}

func (c *component) normalizer() (normalizer, error) {
	switch c.Type {
	case "Precompiled":
		data, err := base64.StdEncoding.DecodeString(c.Charsmap)
		if err != nil {
			return nil, err
		}
		m, err := parseCharsmap(data)
		if err != nil {
			return nil, err
		}
		if !utf8.ValidString(m.texts) {
			return nil, errors.New("precompiled_charsmap: the texts are not valid UTF-8")
		}
		return &precompiled{m, m.starts()}, nil
	case "Replace":
		pattern, err := c.Pattern.compile()
		if err != nil {
			return nil, err
		}
		return &replaced{pattern, c.Content}, nil
	case "Strip":
		return &stripped{c.StripLeft, c.StripRight}, nil
	case "Prepend":
		return prefixed(c.Prepend), nil
	case "Nmt":
		return nmt{}, nil
	case "NFC":
		return &normalForm{norm.NFD, true}, nil
	case "NFD":
		return &normalForm{norm.NFD, false}, nil
	case "NFKC":
		return &normalForm{norm.NFKD, true}, nil
	case "NFKD":
		return &normalForm{norm.NFKD, false}, nil
	}
	return nil, errors.New("is not supported; Precompiled, Replace, Strip, Prepend, Nmt, NFC, NFD, NFKC and NFKD are")
}

// compile accepts texts and those regular expressions that mean the same to all
// engines: characters, alternatives and repetitions.
func (p *hfPattern) compile() (*regexp.Regexp, error) {
	var source string
	switch {
	case p != nil && p.String != nil:
		source = regexp.QuoteMeta(*p.String)
	case p != nil && p.Regex != nil:
		source = *p.Regex
		parsed, err := syntax.Parse(source, syntax.Perl)
		if err != nil {
			return nil, err
		}
		if !simpleRegexp(parsed) || strings.Contains(source, `\`) {
			return nil, fmt.Errorf("pattern %.100q is not supported", source)
		}
	}
	compiled, err := regexp.Compile(source)
	if err == nil && compiled.MatchString("") {
		err = fmt.Errorf("pattern %.100q matches the empty text", source)
	}
	return compiled, err
}

func simpleRegexp(r *syntax.Regexp) bool {
	switch r.Op {
	case syntax.OpLiteral, syntax.OpConcat, syntax.OpAlternate, syntax.OpStar, syntax.OpPlus, syntax.OpQuest,
		syntax.OpRepeat, syntax.OpEmptyMatch:
		return r.Flags&syntax.FoldCase == 0 &&
			!slices.ContainsFunc(r.Sub, func(s *syntax.Regexp) bool { return !simpleRegexp(s) })
	}
	return false
}

// hfPreTokenizer says how normalised text becomes words: it is cut at white
// space, which is dropped; then spaces are replaced and each begins a word, or
// the text is cut by gpt2PieceLen.
type hfPreTokenizer struct {
	cutSpace bool
	space    string // what a space becomes; empty for none
	cutWords bool   // at the replaced spaces
	scheme   string // where to put a space in front: always, first or never

	byteLevel   bool
	prefixSpace bool // of byteLevel
}

func parsePreTokenizer(value json.RawMessage) (p hfPreTokenizer, err error) {
	parts, err := parseComponents("pre_tokenizer", value)
	if err != nil {
		return p, err
	}
	for _, c := range parts {
		last := p.space != "" || p.byteLevel
		switch {
		case c.Type == "WhitespaceSplit" && !last:
			p.cutSpace = true
		case c.Type == "Metaspace" && !last:
			p.space, p.scheme, p.cutWords = c.Replacement, c.PrependScheme, c.Split == nil || *c.Split
			if p.scheme == "" {
				p.scheme = "always"
				if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
					p.scheme = "never"
				}
			}
			if !slices.Contains([]string{"always", "first", "never"}, p.scheme) {
				return p, fmt.Errorf("pre_tokenizer: Metaspace: prepend_scheme is %q", p.scheme)
			}
			if utf8.RuneCountInString(p.space) != 1 {
				return p, fmt.Errorf("pre_tokenizer: Metaspace: replacement is %q, want one character", p.space)
			}
		case c.Type == "ByteLevel" && !last && (c.UseRegex == nil || *c.UseRegex):
			p.byteLevel, p.prefixSpace = true, c.AddPrefixSpace == nil || *c.AddPrefixSpace
		default:
			var types []string
			for _, c := range parts {
				types = append(types, c.Type)
			}
			return p, fmt.Errorf("pre_tokenizer is %q; only WhitespaceSplit, Metaspace, both in this order, and "+
				"ByteLevel with its regular expression are supported", types)
		}
	}
	return p, nil
}

// hfDecoder says how tokens become text: some text in them is replaced, and
// perhaps the first token loses a space.
type hfDecoder struct {
	replace   [][2]string
	trim      bool
	bytes     bool // <0x0A> is a byte
	byteLevel bool
}

func parseDecoder(value json.RawMessage) (d hfDecoder, err error) {
	parts, err := parseComponents("decoder", value)
	for _, c := range parts {
		switch {
		case c.Type == "Metaspace":
			d.replace = append(d.replace, [2]string{c.Replacement, " "})
			d.trim = c.PrependScheme != "never" && (c.AddPrefixSpace == nil || *c.AddPrefixSpace)
		case c.Type == "Replace" && c.Pattern != nil && c.Pattern.String != nil:
			d.replace = append(d.replace, [2]string{*c.Pattern.String, c.Content})
		case c.Type == "Strip":
			d.trim = d.trim || c.Start > 0
		case c.Type == "ByteFallback":
			d.bytes = true
		case c.Type == "Fuse":
		case c.Type == "ByteLevel":
			d.byteLevel = true
		default:
			return d, fmt.Errorf("decoder: %s is not supported; Metaspace, Replace of a text, Strip, ByteFallback, Fuse "+
				"and ByteLevel are", c.Type)
		}
	}
	return d, err
}

// text returns what a token that is not special stands for.
func (d *hfDecoder) text(token string, added bool) ([]byte, error) {
	if d.byteLevel {
		text, err := bytesOfToken(token)
		if added && err != nil { // it is spelled as text
			return []byte(token), nil
		}
		return text, err
	}
	if b, ok := byteOfToken(token); ok && d.bytes {
		return []byte{b}, nil
	}
	for _, r := range d.replace {
		token = strings.ReplaceAll(token, r[0], r[1])
	}
	return []byte(token), nil
}
