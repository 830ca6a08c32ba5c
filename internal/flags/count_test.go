package flags

import (
	"flag"
	"io"
	"testing"
)

func TestCount(t *testing.T) {
	for s, want := range map[string]Count{
		"0": 0, "17": 17, "3e6": 3e6, "3M": 3e6, "3000000": 3e6, "2.5k": 2500, "1.1M": 1.1e6,
		"0.3G": 3e8, "0.3B": 3e8, "1e-3k": 1, "1E6": 1e6,
	} {
		c := Count(-1)
		if err := c.Set(s); err != nil || c != want {
			t.Errorf("%q is %d (%v), want %d", s, c, err, want)
		}
		var again Count
		if err := again.Set(c.String()); err != nil || again != want {
			t.Errorf("%q of %d is %d (%v)", c.String(), c, again, err)
		}
	}
	for _, s := range []string{
		"", "M", "x", "-1", "-0.5", "1.5", "0.5", "3m", "3 M", "1e30", "NaN", "Inf", "-Inf", "3MM",
	} {
		c := Count(7)
		if err := c.Set(s); err == nil || c != 7 {
			t.Errorf("%q is %d, want an error", s, c)
		}
	}
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var c Count
	fs.Var(&c, "tokens", "")
	if err := fs.Parse([]string{"-tokens", "2M"}); err != nil || c != 2e6 {
		t.Errorf("-tokens 2M is %d (%v)", c, err)
	}
	fs.PrintDefaults() // calls String on a nil value's zero
}
