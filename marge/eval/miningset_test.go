package eval

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestAligned(t *testing.T) {
	docs := []Doc{
		{"de", "b"}, {"en", "b"}, {"de", "a"}, {"de", "b"}, {"fr", "a"}, {"en_US", "a"}, {"en", "a"}, {"de", ""}, {"en", ""},
		{"de", "c"}, {"en", "b"},
	}
	for name, c := range map[string]struct {
		to               string
		eligible         func(int) bool
		sources, targets []int
	}{
		"all":      {"en", nil, []int{2, 0}, []int{6, 1}},
		"spelling": {"EN-us", nil, []int{2}, []int{5}},
		"some":     {"en", func(i int) bool { return i != 0 && i != 2 }, []int{3}, []int{1}},
		"none":     {"it", nil, nil, nil},
	} {
		sources, targets := Aligned(docs, "de", c.to, c.eligible)
		if !slices.Equal(sources, c.sources) || !slices.Equal(targets, c.targets) {
			t.Errorf("%s: %v with %v, want %v with %v", name, sources, targets, c.sources, c.targets)
		}
	}
}

func TestMiningHalves(t *testing.T) {
	var docs []Doc
	for i := range 60 {
		docs = append(docs, Doc{"de", fmt.Sprint(i)}, Doc{"en", fmt.Sprint(i)}, Doc{"fr", fmt.Sprint(i)})
	}
	halves := MiningHalves(docs, "de", "en", 1)
	if len(halves) != 2 {
		t.Fatalf("%d halves", len(halves))
	}
	seen := map[string]int{}
	for half, s := range halves {
		if s.From != "de" || s.To != "en" || len(s.Sources) != 20 || len(s.Targets) != 20 || len(s.Gold) != 10 {
			t.Errorf("half %d of %s-%s: %d and %d sentences, %d true pairs", half, s.From, s.To, len(s.Sources), len(s.Targets),
				len(s.Gold))
		}
		groups := map[string]bool{}
		for lang, list := range map[string][]int{"de": s.Sources, "en": s.Targets} {
			for _, i := range list {
				groups[docs[i].Group] = true
				if docs[i].Lang != lang {
					t.Errorf("half %d: document %d is in %s, want %s", half, i, docs[i].Lang, lang)
				}
			}
		}
		for group := range groups {
			seen[group]++
		}
		for _, g := range s.Gold {
			if docs[s.Sources[g.Source]].Group != docs[s.Targets[g.Target]].Group {
				t.Errorf("half %d: %v is no pair", half, g)
			}
		}
	}
	for group, n := range seen {
		if n != 1 {
			t.Errorf("group %s is in both halves", group)
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d groups, want 60", len(seen))
	}
	if again := MiningHalves(docs, "de", "en", 1); !reflect.DeepEqual(again, halves) {
		t.Error("equal seeds give other halves")
	}
	if other := MiningHalves(docs, "de", "en", 2); reflect.DeepEqual(other, halves) {
		t.Error("another seed gives the same halves")
	}
	if few := MiningHalves(docs[:3], "de", "en", 1); few != nil {
		t.Errorf("halves of one group: %v", few)
	}
}
