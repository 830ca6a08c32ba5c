package tokenizer

import (
	"unicode/utf8"
	"unsafe"
)

// mapped is a text while it is normalised. Where track is set, from has for
// each of its bytes the place in the text as it was given that it stands for.
type mapped struct {
	text  []byte
	from  []int32
	track bool
}

func (m *mapped) reset(track bool) {
	m.text, m.from, m.track = m.text[:0], m.from[:0], track
}

// add appends a text that stands for one place as a whole.
func (m *mapped) add(s string, from int32) {
	m.text = append(m.text, s...)
	if m.track {
		for range len(s) {
			m.from = append(m.from, from)
		}
	}
}

// copy appends a text that lies at a place and is not changed.
func (m *mapped) copy(s string, from int32) {
	m.text = append(m.text, s...)
	if m.track {
		for i := range len(s) {
			m.from = append(m.from, from+int32(i))
		}
	}
}

// slice appends the bytes lo to hi of another text.
func (m *mapped) slice(other *mapped, lo, hi int) {
	m.text = append(m.text, other.text[lo:hi]...)
	if m.track {
		m.from = append(m.from, other.from[lo:hi]...)
	}
}

// place returns the place that byte i stands for; 0 if it is not tracked.
func (m *mapped) place(i int) int32 {
	if !m.track {
		return 0
	}
	return m.from[i]
}

func (m *mapped) truncate(n int) {
	m.text = m.text[:n]
	if m.track {
		m.from = m.from[:n]
	}
}

// view returns b as a string without a copy. It holds until b is changed.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// output is what a text is encoded as. Where track is set, places has the place
// in the text at which each token begins.
type output struct {
	ids    []int32
	places []int32
	track  bool
}

func (o *output) add(id, place int32) {
	o.ids = append(o.ids, id)
	if o.track {
		o.places = append(o.places, place)
	}
}

// decodeRune is utf8.DecodeRuneInString that returns -1 for a byte that begins
// no valid character.
func decodeRune(s string) (r rune, size int) {
	r, size = utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size <= 1 {
		r = -1
	}
	return r, size
}
