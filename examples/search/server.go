package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge"
)

//go:embed page
var pageFiles embed.FS

// server answers requests.
type server struct {
	model     *marge.Model
	index     *marge.Index
	name      string // of the model
	languages []string
	limits    limits
	errors    *log.Logger

	waiting chan struct{} // has room for all requests that wait or are worked on
	turns   chan struct{} // and for those that are worked on
}

func newServer(m *marge.Model, x *marge.Index, name string, l limits, errors *log.Logger) http.Handler {
	s := &server{model: m, index: x, name: name, limits: l, errors: errors, languages: languages(x),
		waiting: make(chan struct{}, l.concurrent+l.queue), turns: make(chan struct{}, l.concurrent)}
	page, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("POST /v1/embeddings", answer(s, s.embeddings))
	mux.Handle("POST /search", answer(s, s.search))
	mux.Handle("POST /generate", answer(s, s.generate))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recovered(w, r)
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// languages returns the languages of the passages of an index, sorted.
func languages(x *marge.Index) (list []string) {
	known := map[string]bool{}
	for i := range x.Len() {
		if lang := x.Passage(i).Lang; lang != "" && !known[lang] {
			known[lang] = true
			list = append(list, lang)
		}
	}
	slices.Sort(list)
	return list
}

// An apiError is an error of a request in the form that OpenAI's has.
type apiError struct {
	status  int
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"` // member of the request that is wrong
	Code    *string `json:"code"`
}

func (e *apiError) Error() string { return e.Message }

// invalid is the error of a member of a request; param may be empty.
func invalid(param, format string, args ...any) *apiError {
	e := &apiError{status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Type: "invalid_request_error"}
	if param != "" {
		e.Param = &param
	}
	return e
}

func unavailable(status int, code, message string) *apiError {
	return &apiError{status: status, Message: message, Type: "server_error", Code: &code}
}

// answer turns a function of a JSON object into a handler that keeps the limits.
func answer[T, R any](s *server, work func(context.Context, T) (R, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Who sends slowly keeps no one else from the turns: those come after.
		var in T
		if err := s.read(w, r, &in); err != nil {
			s.fail(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.limits.timeout)
		defer cancel()
		leave, err := s.enter(ctx)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		defer leave()
		out, err := work(ctx, in)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.write(w, http.StatusOK, out)
	})
}

// read decodes the body of a request.
func (s *server) read(w http.ResponseWriter, r *http.Request, in any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.body))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		e := invalid("", "the request is longer than %d bytes", s.limits.body)
		e.status = http.StatusRequestEntityTooLarge
		return e
	}
	if err != nil {
		return invalid("", "the request cannot be read: %v", err)
	}
	if err := jsonx.Unmarshal(body, in); err != nil {
		return invalid("", "the request is not a JSON object of this kind: %v", err)
	}
	return nil
}

// enter waits for a turn to work. It is an error if too many wait already.
func (s *server) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.waiting <- struct{}{}:
	default:
		return nil, unavailable(http.StatusServiceUnavailable, "overloaded", "too many requests wait: try again later")
	}
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns; <-s.waiting }, nil
	case <-ctx.Done():
		<-s.waiting
		return nil, ctx.Err()
	}
}

// fail answers with an error. What is none of the client's business goes to the
// log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	switch {
	case errors.As(err, &e):
	case r.Context().Err() != nil:
		return // nobody waits for an answer
	case errors.Is(err, context.DeadlineExceeded):
		e = unavailable(http.StatusServiceUnavailable, "timeout",
			fmt.Sprintf("the request was not done within %v", s.limits.timeout))
	default:
		s.errors.Printf("%s %s: %v", r.Method, r.URL.Path, err)
		e = unavailable(http.StatusInternalServerError, "internal", "the request failed; the log of the server tells why")
	}
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	s.write(w, e.status, map[string]any{"error": e})
}

// retryAfter is when a client that was refused should try again, in seconds.
const retryAfter = 2

// write answers with a value as JSON.
func (s *server) write(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // a value that is not finite; see recovered
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client may have gone
}

// recovered answers a request whose handler has panicked.
func (s *server) recovered(w http.ResponseWriter, r *http.Request) {
	if v := recover(); v != nil && v != http.ErrAbortHandler {
		s.errors.Printf("%s %s: panic: %v\n%s", r.Method, r.URL.Path, v, debug.Stack())
		s.fail(w, r, unavailable(http.StatusInternalServerError, "internal",
			"the request failed; the log of the server tells why"))
	}
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	s.write(w, http.StatusOK, map[string]any{
		"status": "ok", "model": s.name, "passages": s.index.Len(), "languages": s.languages,
	})
}

// maxHits is how many passages a request may ask for.
const maxHits = 1000

// hits finds passages for a request.
func (s *server) hits(ctx context.Context, r request) ([]passage, error) {
	switch {
	case r.Query == "":
		return nil, invalid("query", "query is missing: the text to look for")
	case r.K < 0 || r.K > maxHits:
		return nil, invalid("k", "k is %d, want 1 to %d", r.K, maxHits)
	}
	if r.K == 0 {
		r.K = 10
	}
	if r.Lang != "" {
		if _, err := langtag.Canonical(r.Lang); err != nil {
			return nil, invalid("lang", "lang: %v", err)
		}
	}
	passages, err := find(ctx, s.model, s.index, r)
	if errors.Is(err, errLanguage) {
		return nil, invalid("query", "%v", err)
	}
	return passages, err
}

type searchAnswer struct {
	Query string    `json:"query"`
	Hits  []passage `json:"hits"`
}

func (s *server) search(ctx context.Context, r request) (searchAnswer, error) {
	hits, err := s.hits(ctx, r)
	return searchAnswer{r.Query, hits}, err
}
