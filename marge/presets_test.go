package marge

import "testing"

// The named sizes can be built, and their heads have the widths that attention
// is fast for.
func TestPresets(t *testing.T) {
	widths := map[string]int{"tiny": 32, "small": 64, "base": 64, "paper": 64}
	for name, c := range Presets() {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := widths[name]
		if c.DModel != want*c.EncoderAttentionHeads || c.DModel != want*c.DecoderAttentionHeads {
			t.Errorf("%s: width %d in %d and %d heads, want heads of %d", name,
				c.DModel, c.EncoderAttentionHeads, c.DecoderAttentionHeads, want)
		}
	}
	if len(Presets()) != len(widths) {
		t.Errorf("%d sizes, want %d", len(Presets()), len(widths))
	}
}
