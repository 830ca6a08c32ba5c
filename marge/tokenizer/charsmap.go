package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// charsmap is the precompiled_charsmap of SentencePiece: rules that replace a
// short text by another. Its form is the length in bytes of a double array,
// the array in units of 32 bits, and the texts that replace, each ended by a
// zero byte; all little-endian. The units are those of the library
// Darts-clone: bits 0 to 7 are the byte that leads to a node, bit 8 tells that
// a rule ends there, and the rest how far its children are. A value, the place
// of a text that replaces, has bit 31 set.
type charsmap struct {
	units []uint32
	texts string

	longestText int // in bytes
}

// maxRuleText bounds how long a character becomes. In Unicode the longest
// decomposition has 33 bytes.
const maxRuleText = 1024

const (
	unitLeaf  = 1 << 8
	unitValue = 1 << 31
	unitLabel = unitValue | 0xff
)

// unitOffset returns what the number of a node is XORed with to get to its
// children.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// parseCharsmap checks that no look-up leaves the array or the texts, as
// SentencePiece does, so that hostile data are an error here.
func parseCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap: has %d bytes", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	data = data[4:]
	switch {
	case size >= uint64(len(data)):
		return nil, fmt.Errorf("precompiled_charsmap: an array of %d bytes, but %d bytes follow", size, len(data))
	case size == 0 || size%1024 != 0:
		return nil, fmt.Errorf("precompiled_charsmap: an array of %d bytes, want a multiple of 1024", size)
	case data[len(data)-1] != 0:
		return nil, errors.New("precompiled_charsmap: the last text is not ended by a zero byte")
	}
	c := &charsmap{units: make([]uint32, size/4), texts: string(data[size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	for i := range c.units {
		if err := c.check(uint32(i)); err != nil {
			return nil, fmt.Errorf("precompiled_charsmap: unit %d: %w", i, err)
		}
	}
	return c, nil
}

func (c *charsmap) check(i uint32) error {
	unit := c.units[i]
	if unit&unitValue != 0 && i > 0 {
		value := int(unit &^ unitValue)
		if value >= len(c.texts) {
			return fmt.Errorf("text %d of %d bytes of texts", value, len(c.texts))
		}
		size := strings.IndexByte(c.texts[value:min(value+maxRuleText+1, len(c.texts))], 0)
		if size < 0 {
			return fmt.Errorf("text %d has more than %d bytes", value, maxRuleText)
		}
		c.longestText = max(c.longestText, size)
		return nil
	}
	children := i ^ unitOffset(unit)
	switch {
	case i == 0 && (unit&unitLabel != 0 || unit&unitLeaf != 0 || children == 0):
		return errors.New("is not a root")
	case uint64(children|0xff) >= uint64(len(c.units)):
		return fmt.Errorf("children at %d of %d units", children, len(c.units))
	case unit&unitLeaf != 0 && c.units[children]&unitValue == 0:
		return errors.New("has no value")
	}
	return nil
}

// maxRules is how many rules SentencePiece looks at that begin at one place.
const maxRules = 32

// longest returns the length in bytes of the longest text that s begins with
// and that has a rule, and what replaces it. It is 0 if there is none. This is
// how SentencePiece replaces.
func (c *charsmap) longest(s string) (n int, by string) {
	node := unitOffset(c.units[0])
	value := -1
	for i, rules := 0, 0; i < len(s) && rules < maxRules; i++ {
		node ^= uint32(s[i])
		unit := c.units[node]
		if unit&unitLabel != uint32(s[i]) {
			break
		}
		node ^= unitOffset(unit)
		if unit&unitLeaf != 0 {
			n, value = i+1, int(c.units[node]&^unitValue)
			rules++
		}
	}
	if value < 0 {
		return 0, ""
	}
	return n, c.text(value)
}

// shortest returns what replaces the shortest text that s begins with and that
// has a rule. This is how the normaliser Precompiled of `tokenizers` looks up
// a cluster of characters, all of which it then replaces.
func (c *charsmap) shortest(s string) (by string, ok bool) {
	node := unitOffset(c.units[0])
	for i := 0; i < len(s) && s[i] != 0; i++ {
		node ^= uint32(s[i])
		unit := c.units[node]
		if unit&unitLabel != uint32(s[i]) {
			break
		}
		node ^= unitOffset(unit)
		if unit&unitLeaf != 0 {
			return c.text(int(c.units[node] &^ unitValue)), true
		}
	}
	return "", false
}

func (c *charsmap) text(at int) string {
	text := c.texts[at:]
	return text[:strings.IndexByte(text, 0)]
}

// starts tells for every byte whether a rule may begin with it.
func (c *charsmap) starts() (starts [256]bool) {
	root := unitOffset(c.units[0])
	for b := range starts {
		starts[b] = c.units[root^uint32(b)]&unitLabel == uint32(b)
	}
	return starts
}
