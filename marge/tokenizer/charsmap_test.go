package tokenizer

import (
	"encoding/binary"
	"strings"
	"testing"
)

// charsmapOf makes a precompiled_charsmap by the units that are not 0.
func charsmapOf(units map[int]uint32, texts string) []byte {
	data := binary.LittleEndian.AppendUint32(nil, 2048)
	for i := range 512 {
		data = binary.LittleEndian.AppendUint32(data, units[i])
	}
	return append(data, texts...)
}

// One rule: a becomes xy. The root's children are at 1 ^ byte, those of a in the
// second block.
func oneRule() map[int]uint32 {
	node := 1 ^ int('a')
	return map[int]uint32{0: 1 << 10, node: 256<<10 | unitLeaf | 'a', node ^ 256: unitValue | 1}
}

func TestCharsmap(t *testing.T) {
	c, err := parseCharsmap(charsmapOf(oneRule(), "_xy\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if n, by := c.longest("ab"); n != 1 || by != "xy" {
		t.Errorf("longest = %d, %q", n, by)
	}
	if by, ok := c.shortest("ab"); !ok || by != "xy" {
		t.Errorf("shortest = %q, %t", by, ok)
	}
	for _, s := range []string{"", "b", "\x00", "\xff"} {
		n, by := c.longest(s)
		if _, ok := c.shortest(s); n != 0 || by != "" || ok {
			t.Errorf("%q is replaced: %d, %q, %t", s, n, by, ok)
		}
	}
	// A zero byte ends a text for shortest only.
	zero := map[int]uint32{0: 1 << 10, 1: 256<<10 | unitLeaf, 1 ^ 256: unitValue}
	if c, err := parseCharsmap(charsmapOf(zero, "x\x00")); err != nil {
		t.Error(err)
	} else if n, by := c.longest("\x00"); n != 1 || by != "x" {
		t.Errorf("the longest rule of a zero byte: %d, %q", n, by)
	} else if by, ok := c.shortest("\x00"); ok {
		t.Errorf("a zero byte is replaced by %q", by)
	}
	if starts := c.starts(); !starts['a'] || starts['b'] {
		t.Error("a is not the only start")
	}
}

func TestCharsmapErrors(t *testing.T) {
	node := 1 ^ int('a')
	good := charsmapOf(oneRule(), "_xy\x00")
	changed := func(at int, unit uint32) []byte {
		units := oneRule()
		units[at] = unit
		return charsmapOf(units, "_xy\x00")
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "has 0 bytes"},
		"no texts":        {good[:4+2048], "2048 bytes, but 2048 bytes follow"},
		"cut":             {good[:100], "2048 bytes, but 96 bytes follow"},
		"size":            {append([]byte{1, 4}, good[2:]...), "multiple of 1024"},
		"no array":        {append([]byte{0, 0}, good[2:]...), "multiple of 1024"},
		"no end":          {good[:len(good)-1], "zero byte"},
		"root":            {changed(0, 0), "unit 0: is not a root"},
		"root with label": {changed(0, 1<<10|'a'), "unit 0: is not a root"},
		"root with rule":  {changed(0, 1<<10|unitLeaf), "unit 0: is not a root"},
		"root as a value": {changed(0, unitValue|1<<10), "unit 0: is not a root"},
		"children":        {changed(node, 512<<10|'a'), "of 512 units"},
		"far children":    {changed(node, 1<<9|1<<30|'a'), "of 512 units"},
		"no value":        {changed(node^256, 0), "has no value"},
		"text":            {changed(node^256, unitValue|4), "text 4 of 4 bytes"},
		"last text":       {changed(node^256, unitValue|0x7fffffff), "of 4 bytes"},
		"long text":       {charsmapOf(oneRule(), strings.Repeat("x", maxRuleText+2)+"\x00"), "more than 1024 bytes"},
	} {
		if _, err := parseCharsmap(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// Whatever passes the checks can be used.
func FuzzCharsmap(f *testing.F) {
	f.Add(charsmapOf(oneRule(), "_xy\x00"), "xa\u0301 \x00")
	m, err := parseSPM(unzip(f, "rules.model"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.normalizer.charsmap, "e\u0301ﬁ\r\nlloo")
	f.Fuzz(func(t *testing.T, data []byte, s string) {
		c, err := parseCharsmap(data)
		if err != nil {
			return
		}
		starts := c.starts()
		for i := range len(s) {
			n, by := c.longest(s[i:])
			if _, ok := c.shortest(s[i:]); n > len(s)-i || len(by) > c.longestText || ok && !starts[s[i]] {
				t.Fatalf("%q: %d, %q, %t", s[i:], n, by, ok)
			}
		}
		var in, out mapped
		in.reset(true)
		in.copy(s, 0)
		out.reset(true)
		(&precompiled{c, starts}).normalize(&out, &in)
		if len(out.text) != len(out.from) {
			t.Fatalf("%d bytes with %d places", len(out.text), len(out.from))
		}
	})
}
