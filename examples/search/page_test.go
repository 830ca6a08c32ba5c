package main

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPage opens the page in Chromium, where it searches for what its address
// says. Without Chromium it is skipped, unless CI_CHROMIUM is set.
func TestPage(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI_CHROMIUM") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s, x, _ := testServer(t, testLimits)
	open := func(query url.Values) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		// Root cannot use the sandbox, and containers have a small /dev/shm.
		c := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
			"--user-data-dir="+t.TempDir(), "--virtual-time-budget=20000", "--dump-dom", s.URL+"/?"+query.Encode())
		var messages strings.Builder
		c.Stderr = &messages
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, messages.String())
		}
		return string(out)
	}
	wanted := func(page string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(page, part) {
				t.Errorf("%q is not on the page:\n%s", part, page)
			}
		}
	}
	passage := x.Passage(3)
	wanted(open(url.Values{"q": {passage.Text}, "k": {"2"}, "lang": {passage.Lang}}),
		`>2 passages</p>`, `relevance 1.000`, passage.ID, `<blockquote lang="`+passage.Lang+`"`, passage.Text)
	tags := x.Passage(x.Len() - 1)
	page := open(url.Values{"q": {tags.Text}, "k": {"1"}, "rerank": {"1"}})
	wanted(page, `>1 passage</p>`, `&lt;script&gt;document.title = 'no'&lt;/script&gt; &amp; tags`, "&lt;b&gt;tags",
		"; loss ", "<title>Search</title>")
	wanted(open(url.Values{"q": {"a"}, "k": {"5000"}}), "The search failed: k is 5000, want 1 to 1000")
	wanted(open(nil), `<p id="status" role="status" aria-live="polite"></p>`)
}
