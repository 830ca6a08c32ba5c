package tokenizer

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// normalizer is a component of a tokenizer.json that changes the text before it
// is cut into words. It appends the changed form of in to out.
type normalizer interface {
	normalize(out, in *mapped)
}

// precompiled replaces by the rules of a charsmap as `tokenizers` does, which is
// not as SentencePiece does: of each cluster of characters (UAX 29) of less than
// 6 bytes it looks up the shortest beginning that has a rule, and replaces all
// of the cluster by what the rule says; in other clusters it looks up every
// character by itself.
type precompiled struct {
	*charsmap
	starts [256]bool
}

// maxCluster is the length in bytes from which a cluster is looked up by
// characters.
const maxCluster = 6

func (p *precompiled) normalize(out, in *mapped) {
	s := view(in.text)
	for at := 0; at < len(s); {
		if first := at; s[at] < utf8.RuneSelf {
			for at < len(s) && s[at] < utf8.RuneSelf && !p.starts[s[at]] {
				at++
			}
			// The last one may be part of a cluster with what follows.
			if at < len(s) && s[at] >= utf8.RuneSelf {
				at--
			}
			if at > first {
				out.slice(in, first, at)
				continue
			}
		}
		size := clusterLen(s[at:])
		if size < maxCluster {
			if by, ok := p.shortest(s[at : at+size]); ok {
				out.add(by, in.place(at))
				at += size
				continue
			}
		}
		for end := at + size; at < end; {
			_, size := utf8.DecodeRuneInString(s[at:end])
			if by, ok := p.shortest(s[at : at+size]); ok {
				out.add(by, in.place(at))
			} else {
				out.slice(in, at, at+size)
			}
			at += size
		}
	}
	out.startAt(in)
}

// startAt makes the first character stand for where in begins, whatever was
// before it: `tokenizers` counts places so when it drops or reorders characters.
func (m *mapped) startAt(in *mapped) {
	if !m.track {
		return
	}
	_, size := utf8.DecodeRune(m.text)
	for i := range min(size, len(m.text)) {
		m.from[i] = in.from[0]
	}
}

// clusterLen returns the length in bytes of the cluster of characters at the
// start of s.
func clusterLen(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if n == len(s) {
		return n
	}
	if s[n] < utf8.RuneSelf && r != '\r' && !prepended(r) {
		return n
	}
	next, _ := utf8.DecodeRuneInString(s[n:])
	extended := next >= 0x300 && unicode.Is(clusterExtend, next)
	if !extended && r != '\r' && !prepended(r) {
		return n // alone, or with others that are looked up by themselves anyway
	}
	cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	if n = len(cluster); !prepended(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
		return n // nothing extends a control character
	}
	for n < len(s) { // what extends clusters since the version of uniseg
		next, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(clusterExtend, next) {
			break
		}
		n += size
	}
	return n
}

// prepended reports whether a character makes a cluster with the one after it
// (property Prepend of UAX 29).
func prepended(r rune) bool {
	if r < 0x600 {
		return false
	}
	switch r {
	case 0x6dd, 0x70f, 0x890, 0x891, 0x8e2, 0xd4e, 0x110bd, 0x110cd, 0x111c2, 0x111c3, 0x113d1, 0x1193f, 0x11941,
		0x11a3a, 0x11d46, 0x11f02:
		return true
	}
	return r <= 0x605 || r >= 0x11a84 && r <= 0x11a89
}

// replaced replaces every match of a pattern.
type replaced struct {
	pattern *regexp.Regexp
	by      string
}

func (r *replaced) normalize(out, in *mapped) {
	at := 0
	for _, match := range r.pattern.FindAllIndex(in.text, -1) {
		out.slice(in, at, match[0])
		at = match[1]
		out.add(r.by, in.place(at-1))
	}
	out.slice(in, at, len(in.text))
}

// stripped drops white space at the ends.
type stripped struct{ left, right bool }

func (s *stripped) normalize(out, in *mapped) {
	text := view(in.text)
	lo, hi := 0, len(text)
	if s.left {
		lo = hi - len(strings.TrimLeftFunc(text, unicode.IsSpace))
	}
	if s.right {
		hi = lo + len(strings.TrimRightFunc(text[lo:], unicode.IsSpace))
	}
	out.slice(in, lo, hi)
}

// prefixed puts a text in front.
type prefixed string

func (p prefixed) normalize(out, in *mapped) {
	if len(in.text) > 0 {
		out.add(string(p), in.place(0))
		out.slice(in, 0, len(in.text))
	}
}

// nmt drops control characters and makes several others spaces.
type nmt struct{}

func (nmt) normalize(out, in *mapped) {
	for at := 0; at < len(in.text); {
		r, size := utf8.DecodeRune(in.text[at:])
		switch {
		case r >= 1 && r <= 8, r == 0xb, r >= 0xe && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029,
			r == 0x2581, r == 0xfeff, r == 0xfffd:
			out.add(" ", in.place(at))
		default:
			out.slice(in, at, at+size)
		}
		at += size
	}
}

// normalForm is one of the normal forms of UAX 15, as `tokenizers` has them: by
// a Unicode version in which code points that came later have no decomposition
// and no combining class, and without the bound that golang.org/x/text puts on
// the number of marks in a row.
type normalForm struct {
	form    norm.Form // that decomposes: NFD or NFKD
	compose bool
}

type decomposed struct {
	r     rune
	class uint8
	place int32
}

func (n *normalForm) normalize(out, in *mapped) {
	text := view(in.text)
	form := n.form
	if n.compose {
		form = composing[n.form]
	}
	if form.IsNormalString(text) {
		out.slice(in, 0, len(text))
		return
	}
	var all []decomposed
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		place := in.place(at)
		if !unicode.Is(normalizable, r) {
			all = append(all, decomposed{r, 0, place})
			at += size
			continue
		}
		whole := n.form.Bytes(in.text[at : at+size])
		for len(whole) > 0 {
			r, size := utf8.DecodeRune(whole)
			all = append(all, decomposed{r, norm.NFD.Properties(whole).CCC(), place})
			whole = whole[size:]
		}
		at += size
	}
	for lo := 0; lo < len(all); { // canonical order, between starters
		hi := lo + 1
		for hi < len(all) && all[hi].class > 0 {
			hi++
		}
		if all[lo].class > 0 {
			slices.SortStableFunc(all[lo:hi], func(a, b decomposed) int { return int(a.class) - int(b.class) })
		} else {
			slices.SortStableFunc(all[lo+1:hi], func(a, b decomposed) int { return int(a.class) - int(b.class) })
		}
		lo = hi
	}
	if n.compose {
		all = composed(all)
	}
	place := int32(0)
	for _, d := range all {
		place = max(place, d.place) // that of a mark that went in front would be later
		out.add(string(d.r), place)
	}
	out.startAt(in)
}

var composing = map[norm.Form]norm.Form{norm.NFD: norm.NFC, norm.NFKD: norm.NFKC}

// composed joins characters in canonical order: each with the last starter
// before it, unless one in between blocks it (UAX 15, section D117).
func composed(all []decomposed) []decomposed {
	out := all[:0]
	starter := -1 // in out
	for _, d := range all {
		if starter >= 0 {
			last := out[len(out)-1]
			blocked := len(out)-1 > starter && (last.class == 0 || last.class >= d.class)
			if r, ok := primaryComposite(out[starter].r, d.r); ok && !blocked {
				out[starter].r = r
				continue
			}
		}
		if d.class == 0 {
			starter = len(out)
		}
		out = append(out, d)
	}
	return out
}

// primaryComposite returns the character that two compose to.
func primaryComposite(a, b rune) (rune, bool) {
	if b < 0x300 {
		return 0, false
	}
	pair := norm.NFC.String(string([]rune{a, b}))
	r, size := utf8.DecodeRuneInString(pair)
	return r, size == len(pair) && unicode.Is(normalizable, r)
}
