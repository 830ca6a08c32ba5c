package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/news"
)

var testLimits = limits{body: 1 << 16, concurrent: 2, queue: 50, timeout: time.Minute, sending: time.Minute}

// testServer serves generated news. The index and the model are returned too.
func testServer(t testing.TB, l limits) (*httptest.Server, *marge.Index, *marge.Model) {
	t.Helper()
	m, err := marge.Load(testCheckpoint(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	x, err := m.NewIndex(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var docs []corpus.Document
	for doc := range news.Documents(news.Options{Seed: 1, Events: 5}) {
		docs = append(docs, doc)
	}
	tags := "<script>document.title = 'no'</script> & tags"
	docs = append(docs, corpus.Document{ID: "<b>tags</b>", Lang: "en", Text: tags})
	if _, err := x.Add(t.Context(), m, docs, marge.AddOptions{}); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(newServer(m, x, "test-model", l, log.New(io.Discard, "", 0)))
	t.Cleanup(s.Close)
	return s, x, m
}

// post sends a body and decodes the answer. It may be called from any goroutine;
// without an answer in JSON, the status is 0.
func post(t testing.TB, url, body string, answer any) (status int, header http.Header) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(data, answer)
	}
	if kind := r.Header.Get("Content-Type"); err != nil || kind != "application/json" {
		t.Errorf("%s: %.100s answers %d, %s: %s; error %v", url, body, r.StatusCode, kind, data, err)
		return 0, nil
	}
	return r.StatusCode, r.Header
}

type errorAnswer struct {
	Error struct {
		Message, Type string
		Param, Code   *string
	}
}

func TestEmbeddings(t *testing.T) {
	s, _, m := testServer(t, testLimits)
	texts := []string{"A new bridge", strings.Repeat("Die Fähre fährt um sieben. ", 40)}
	want, err := m.Encode(t.Context(), texts, marge.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tokens := len(m.Tokenizer.Encode(texts[0])) + len(m.Tokenizer.Encode(texts[1]))
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Object, Model string
		Data          []struct {
			Object    string
			Index     int
			Embedding json.RawMessage
		}
		Usage map[string]int
	}
	for _, body := range []string{
		fmt.Sprintf(`{"model": "test-model", "input": %s, "user": "x"}`, input),
		fmt.Sprintf(`{"input": %s, "encoding_format": "float", "dimensions": 32}`, input),
		fmt.Sprintf(`{"input": %s, "encoding_format": "base64"}`, input),
	} {
		if status, _ := post(t, s.URL+"/v1/embeddings", body, &list); status != http.StatusOK {
			t.Fatalf("%s: status %d", body, status)
		}
		if list.Object != "list" || list.Model != "test-model" || len(list.Data) != 2 ||
			list.Usage["prompt_tokens"] != tokens || list.Usage["total_tokens"] != tokens {
			t.Errorf("%s: %+v", body, list)
		}
		for i, e := range list.Data {
			var vector []float32
			if strings.Contains(body, "base64") {
				var text string
				if err := json.Unmarshal(e.Embedding, &text); err != nil {
					t.Fatal(err)
				}
				data, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				vector = make([]float32, len(data)/4)
				if _, err := binary.Decode(data, binary.LittleEndian, vector); err != nil {
					t.Fatal(err)
				}
			} else if err := json.Unmarshal(e.Embedding, &vector); err != nil {
				t.Fatal(err)
			}
			if e.Object != "embedding" || e.Index != i || !slices.Equal(vector, want[i]) {
				t.Errorf("%s: embedding %d is %s %d, or another vector", body, i, e.Object, e.Index)
			}
		}
	}
	status, _ := post(t, s.URL+"/v1/embeddings", `{"input": "one text"}`, &list)
	if status != http.StatusOK || len(list.Data) != 1 {
		t.Errorf("a string: status %d, %d embeddings", status, len(list.Data))
	}
	for body, want := range map[string]string{
		`{}`:                       "input: input is missing",
		`{"input": null}`:          "input: input has 0 texts",
		`{"input": 3}`:             "input: input is neither",
		`{"input": {"a": 1}}`:      "input: input is neither",
		`{"input": ["a", 1]}`:      "input: input is neither",
		`{"input": []}`:            "input: input has 0 texts",
		`{"input": ""}`:            "input: input: text 0 is empty",
		`{"input": ["a", ""]}`:     "input: input: text 1 is empty",
		`{"input": [1, 2, 3]}`:     "input: input is a list of tokens",
		`{"input": [[1, 2], [3]]}`: "input: input is a list of tokens",
		`{"input": "a", "encoding_format": "int8"}`:          "encoding_format: ",
		`{"input": "a", "dimensions": 8}`:                    "dimensions: dimensions is 8: the vectors of this model",
		`{"input": "a", "model": "another"}`:                 `model: the model "another" does not exist`,
		`{"input": "a", "model": 3}`:                         ": the request is not a JSON object of this kind",
		`["a"]`:                                              ": the request is not a JSON object of this kind",
		`{"input": "a"`:                                      ": the request is not a JSON object of this kind",
		`{"input": "\ud800"}`:                                ": the request is not a JSON object of this kind",
		"{\"input\": \"\xff\"}":                              ": the request is not a JSON object of this kind",
		`{"input": ` + strings.Repeat("[", 20000):            ": the request is not a JSON object of this kind",
		`{"input": [` + strings.Repeat(`"",`, 3000) + `""]}`: "input: input has 3001 texts, want 1 to 2048",
		``: ": the request is not a JSON object of this kind",
	} {
		var e errorAnswer
		status, _ := post(t, s.URL+"/v1/embeddings", body, &e)
		param := ""
		if e.Error.Param != nil {
			param = *e.Error.Param
		}
		wantStatus, code := http.StatusBadRequest, ""
		if strings.Contains(body, "another") {
			wantStatus, code = http.StatusNotFound, "model_not_found"
		}
		if got := param + ": " + e.Error.Message; status != wantStatus || !strings.HasPrefix(got, want) ||
			e.Error.Type != "invalid_request_error" || (e.Error.Code != nil) != (code != "") ||
			code != "" && *e.Error.Code != code {
			t.Errorf("%.100s: status %d, error %+v (%s), want one with %q", body, status, e.Error, got, want)
		}
	}
}

func TestSearchAndGenerate(t *testing.T) {
	s, x, m := testServer(t, testLimits)
	want := x.Passage(7)
	query, err := json.Marshal(want.Text)
	if err != nil {
		t.Fatal(err)
	}
	var found searchAnswer
	status, _ := post(t, s.URL+"/search", fmt.Sprintf(`{"query": %s}`, query), &found)
	if status != 200 || len(found.Hits) != 10 || found.Query != want.Text || found.Hits[0].Text != want.Text ||
		found.Hits[0].ID != want.ID ||
		found.Hits[0].Lang != want.Lang || found.Hits[0].Loss != nil {
		t.Errorf("status %d, answer %+v, want %+v first", status, found, want)
	}
	found = searchAnswer{}
	body := fmt.Sprintf(`{"query": %s, "k": 3, "lang": %q, "rerank": true}`, query, want.Lang)
	if status, _ = post(t, s.URL+"/search", body, &found); status != 200 || len(found.Hits) != 3 ||
		found.Hits[2].Loss == nil || *found.Hits[0].Loss > *found.Hits[2].Loss || found.Hits[1].Lang != want.Lang {
		t.Errorf("status %d, answer %+v", status, found)
	}

	// The best of the reranked is not only looked for among those that are wanted.
	var one, many searchAnswer
	post(t, s.URL+"/search", `{"query": "a bridge", "k": 1, "rerank": true}`, &one)
	post(t, s.URL+"/search", `{"query": "a bridge", "k": 20, "rerank": true}`, &many)
	if len(one.Hits) != 1 || len(many.Hits) != 20 || *one.Hits[0].Loss > *many.Hits[1].Loss {
		t.Errorf("one passage has loss %v, of many %+v", one.Hits, many.Hits)
	}

	var made generateAnswer
	body = fmt.Sprintf(`{"evidence": [%s, "b"], "lang": "de", "max_tokens": 8}`, query)
	if status, _ = post(t, s.URL+"/generate", body, &made); status != 200 || made.Lang != "de" ||
		len(made.Evidence) != 0 || len(made.Outputs) != 1 {
		t.Errorf("status %d, answer %+v", status, made)
	}
	o := marge.GenerateOptions{Lang: "de", MaxTokens: 8, Beams: 4}
	outputs, err := m.GenerateAll(t.Context(), []marge.Request{{Evidence: []string{want.Text, "b"}}}, o)
	if best := outputs[0][0]; err != nil || (made.Outputs[0] != generated{best.Text, best.Score, best.Finished}) {
		t.Errorf("the output is %+v, want %+v; error %v", made.Outputs[0], best, err)
	}
	made = generateAnswer{}
	body = fmt.Sprintf(`{"query": %s, "k": 2, "lang": "fr", "temperature": 0.5, "n": 3, "max_tokens": 3}`, query)
	if status, _ = post(t, s.URL+"/generate", body, &made); status != 200 || len(made.Evidence) != 2 ||
		made.Evidence[0].ID != want.ID || len(made.Outputs) != 3 {
		t.Errorf("status %d, answer %+v", status, made)
	}

	for body, want := range map[string]string{
		`search {}`:                                                      "query is missing",
		`search {"query": ""}`:                                           "query is missing",
		`search {"query": "a", "k": -1}`:                                 "k is -1, want 1 to 1000",
		`search {"query": "a", "k": 1001}`:                               "k is 1001",
		`search {"query": "a", "k": 1e99}`:                               "not a JSON object of this kind",
		`search {"query": "a", "lang": "?"}`:                             "lang: ",
		`search {"query": "Привет", "rerank": true}`:                     "no language that the model knows",
		`search {"query": "a", "query": "b"}`:                            "not a JSON object of this kind",
		`generate {"evidence": ["a"]}`:                                   "lang: ",
		`generate {"evidence": ["a"], "lang": "ja"}`:                     "lang: ",
		`generate {"lang": "de"}`:                                        "give either evidence, a list of texts, or a query",
		`generate {"lang": "de", "evidence": ["a"], "query": "b"}`:       "give either",
		`generate {"lang": "de", "query": "b", "k": 33}`:                 "33 documents of evidence, at most 32",
		`generate {"lang": "de", "query": "b", "k": -1}`:                 "k is -1",
		`generate {"lang": "de", "evidence": ["a"], "beams": 17}`:        "beams is 17 and n is 0, at most 16",
		`generate {"lang": "de", "evidence": ["a"], "beams": -1}`:        "Beams is -1",
		`generate {"lang": "de", "evidence": ["a"], "max_tokens": -1}`:   "MaxTokens is -1",
		`generate {"lang": "de", "evidence": ["a"], "n": 17}`:            "n is 17",
		`generate {"lang": "de", "evidence": ["a"], "top_k": 3}`:         "without a Temperature",
		`generate {"lang": "de", "evidence": ["a"], "beams": 2, "n": 3}`: "Return is 3, more than Beams",
	} {
		path, body, _ := strings.Cut(body, " ")
		var e errorAnswer
		status, _ := post(t, s.URL+"/"+path, body, &e)
		if status != http.StatusBadRequest || !strings.Contains(e.Error.Message, want) {
			t.Errorf("%s: status %d, error %q, want one with %q", body, status, e.Error.Message, want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	s, x, _ := testServer(t, testLimits)
	get := func(path string) (int, http.Header, string) {
		r, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, r.Header, string(data)
	}
	status, _, body := get("/healthz")
	var health struct {
		Status, Model string
		Passages      int
		Languages     []string
	}
	if err := json.Unmarshal([]byte(body), &health); err != nil || status != 200 || health.Status != "ok" ||
		health.Model != "test-model" || health.Passages != x.Len() || !slices.Contains(health.Languages, "de") ||
		!slices.IsSorted(health.Languages) {
		t.Errorf("health %d, %s; error %v", status, body, err)
	}
	status, header, body := get("/?q=bridge")
	if policy := header.Get("Content-Security-Policy"); status != 200 || !strings.Contains(body, "<h1>Search</h1>") ||
		!strings.Contains(policy, "default-src 'none'") || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the page: status %d, header %v", status, header)
	}
	for _, path := range []string{"/search.js", "/style.css"} {
		if status, _, _ := get(path); status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	for path, want := range map[string]int{"/nothing": 404, "/search": 404, "/..%2f..%2fgo.mod": 404} {
		if status, _, _ := get(path); status != want && status != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}

// TestLimits: what is too long, too many and too slow gets an error, and the
// server goes on.
func TestLimits(t *testing.T) {
	s, _, _ := testServer(t, limits{body: 2000, concurrent: 1, queue: 1, timeout: time.Minute})
	var e errorAnswer
	status, _ := post(t, s.URL+"/search", `{"query": "`+strings.Repeat("a", 2000)+`"}`, &e)
	if status != http.StatusRequestEntityTooLarge ||
		!strings.Contains(e.Error.Message, "longer than 2000 bytes") {
		t.Errorf("a long request: status %d, %+v", status, e)
	}

	// The server under test works on what it is told to.
	started, finish := make(chan bool), make(chan bool)
	h := &server{limits: limits{body: 100, timeout: time.Minute}, errors: log.New(io.Discard, "", 0),
		waiting: make(chan struct{}, 2), turns: make(chan struct{}, 1)}
	slow := httptest.NewServer(answer(h, func(ctx context.Context, _ struct{}) (string, error) {
		started <- true
		select {
		case <-finish:
			return "done", nil
		case <-ctx.Done():
			return "", fmt.Errorf("search: %w", ctx.Err())
		}
	}))
	defer slow.Close()
	results := make(chan string, 2)
	send := func() {
		var text string
		post(t, slow.URL, "{}", &text)
		results <- text
	}
	go send()
	<-started
	go send()
	for len(h.waiting) < 2 {
		time.Sleep(time.Millisecond)
	}
	status, header := post(t, slow.URL, "{}", &e)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "2" || e.Error.Code == nil ||
		*e.Error.Code != "overloaded" {
		t.Errorf("a request too many: status %d, header %v, %+v", status, header, e)
	}
	finish <- true
	<-started // the one that waited has its turn
	finish <- true
	if a, b := <-results, <-results; a != "done" || b != "done" {
		t.Errorf("answers %q and %q", a, b)
	}

	// A deadline, while a request is worked on and while it waits.
	h.limits.timeout = 50 * time.Millisecond
	go func() { <-started }()
	status, header = post(t, slow.URL, "{}", &e)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || *e.Error.Code != "timeout" {
		t.Errorf("a slow request: status %d, %+v", status, e)
	}
	h.turns <- struct{}{}
	if status, _ = post(t, slow.URL, "{}", &e); status != http.StatusServiceUnavailable || *e.Error.Code != "timeout" {
		t.Errorf("a request that waits too long: status %d, %+v", status, e)
	}
	<-h.turns

	// A client that goes away frees its turn.
	h.limits.timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", slow.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-started; cancel() }()
	if _, err := http.DefaultClient.Do(request); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	go send()
	<-started
	finish <- true
	if a := <-results; a != "done" || len(h.turns) > 1 {
		t.Errorf("answer %q", a)
	}
}

// TestFailures: neither an error, nor a panic, nor a value that JSON does not have
// stops the server, and none of them tells clients more than it should.
func TestFailures(t *testing.T) {
	var logged bytes.Buffer
	h := &server{limits: testLimits, errors: log.New(&logged, "", 0),
		waiting: make(chan struct{}, 1), turns: make(chan struct{}, 1)}
	var fail func() (any, error)
	handler := answer(h, func(context.Context, struct{}) (any, error) { return fail() })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer h.recovered(w, r)
		handler.ServeHTTP(w, r)
	}))
	defer s.Close()
	for want, f := range map[string]func() (any, error){
		"panic: secret":      func() (any, error) { panic("secret") },
		"secret path":        func() (any, error) { return nil, errors.New("secret path") },
		"unsupported":        func() (any, error) { return map[string]any{"secret": func() {}}, nil },
		"index out of range": func() (any, error) { return make([]int, 1)[len(want(3))], nil },
	} {
		fail = f
		logged.Reset()
		var e errorAnswer
		status, _ := post(t, s.URL, "{}", &e)
		if status != http.StatusInternalServerError || e.Error.Type != "server_error" ||
			strings.Contains(e.Error.Message, "secret") || !strings.Contains(logged.String(), want) {
			t.Errorf("status %d, %+v, log %q, want one with %q", status, e, logged.String(), want)
		}
	}
	fail = func() (any, error) { return "fine", nil }
	var text string
	status, _ := post(t, s.URL, "{}", &text)
	if taken := len(h.turns) + len(h.waiting); status != http.StatusOK || text != "fine" || taken != 0 {
		t.Errorf("after failures: status %d, %q; %d places are taken", status, text, taken)
	}
}

// want returns a slice that is too long for the compiler to see.
func want(n int) []int { return make([]int, n) }

// TestConcurrent: requests at the same time get what they get alone.
func TestConcurrent(t *testing.T) {
	s, x, _ := testServer(t, testLimits)
	var wait sync.WaitGroup
	for i := range 24 {
		wait.Go(func() {
			p := x.Passage(i)
			query, err := json.Marshal(p.Text)
			if err != nil {
				t.Error(err)
				return
			}
			var found searchAnswer
			post(t, s.URL+"/search", fmt.Sprintf(`{"query": %s, "k": 1}`, query), &found)
			if len(found.Hits) != 1 || found.Hits[0].ID != p.ID {
				t.Errorf("passage %d: %+v", i, found)
			}
		})
	}
	wait.Wait()
}

// TestShutdown: when the context ends, requests that run are answered, and new
// ones are refused.
func TestShutdown(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	started, finish := make(chan bool), make(chan bool)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started <- true
		<-finish
		fmt.Fprint(w, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, handler, testLimits, log.New(io.Discard, "", 0)) }()
	answers := make(chan string, 1)
	go func() {
		r, err := http.Get(url)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer r.Body.Close()
		data, _ := io.ReadAll(r.Body)
		answers <- string(data)
	}()
	<-started
	stop()
	for {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break // refused
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Errorf("the server ended before the request: %v", err)
	default:
	}
	finish <- true
	if answer := <-answers; answer != "done" {
		t.Errorf("the request that ran is answered by %q", answer)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestSlowClients: who does not send a request in time is not waited for.
func TestSlowClients(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := testLimits
	l.sending = 100 * time.Millisecond
	h := &server{limits: l, errors: log.New(io.Discard, "", 0),
		waiting: make(chan struct{}, 1), turns: make(chan struct{}, 1)}
	handler := answer(h, func(context.Context, struct{}) (string, error) { return "done", nil })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, handler, l, h.errors) }()
	for sent, want := range map[string]string{
		"POST / HTTP/1.1\r\nHost: x":                                     "",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{":      "the request cannot be read",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}":      "done",
		"POST / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<18): "431",
	} {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, sent) // the server may have closed the connection
		got := make([]byte, 1<<12)
		n, err := c.Read(got)
		if err == nil && want == "done" {
			err = io.EOF // the connection stays for other requests
		}
		if text := string(got[:n]); !strings.Contains(text, want) || want == "" && (n > 0 || err == nil) {
			t.Errorf("%.60q is answered by %q, error %v; want %q", sent, text, err, want)
		}
		c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestServe runs the command.
func TestServe(t *testing.T) {
	testDocuments(t)
	mustSearch(t, "index", "-checkpoint", testCheckpoint(t, 1), "-out", "x", "docs")
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-index", "x", "-address", "127.0.0.1:0"}, nil, writer, io.Discard)
	}()
	line := make([]byte, 1000)
	n, err := reader.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, address, ok := strings.Cut(strings.TrimSpace(string(line[:n])), "; model x; ")
	if !ok {
		t.Fatalf("%q", line[:n])
	}
	var found searchAnswer
	status, _ := post(t, address+"/search", `{"query": "bridge", "k": 2}`, &found)
	if status != 200 || len(found.Hits) != 2 {
		t.Errorf("status %d, %+v", status, found)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
