package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"github.com/marge-go/marge/internal/backends"
)

// limits bound what clients can make a server do.
type limits struct {
	body       int64         // of a request, in bytes
	concurrent int           // requests that are worked on
	queue      int           // requests that wait for that
	timeout    time.Duration // of a request, waiting included
	sending    time.Duration // of the request and of its answer by the network
}

// What clients can hold open, and for how long they may take.
const (
	maxConnections = 512
	headerTimeout  = 10 * time.Second
	idleTimeout    = time.Minute
	maxHeader      = 1 << 16
)

func runServe(ctx context.Context, args []string, _ io.Reader, out, messages io.Writer) error {
	var dir, address, name string
	l := limits{sending: time.Minute}
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	f.StringVar(&dir, "index", "", "`directory` that search index made")
	f.StringVar(&address, "address", "127.0.0.1:8080", "where to listen; port 0 takes any that is free")
	f.StringVar(&name, "model-name", "", "name of the model for clients (default: that of the directory of the index)")
	f.Int64Var(&l.body, "max-body", 4<<20, "bytes of a request at the most")
	f.IntVar(&l.concurrent, "concurrent", 2, "requests that are worked on at the same time")
	f.IntVar(&l.queue, "queue", 32, "requests that wait for that; more are refused")
	f.DurationVar(&l.timeout, "timeout", time.Minute, "how long a request may wait and take")
	var backend backends.Choice
	backend.Define(f)
	if err := parse(f, args, out); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case l.body < 1 || l.concurrent < 1 || l.queue < 0 || l.timeout <= 0:
		return errors.New("-max-body, -concurrent and -timeout must be more than 0, and -queue not less")
	}
	b, err := backend.Open()
	if err != nil {
		return err
	}
	defer b.Close()
	x, m, err := open(dir, b)
	if err != nil {
		return err
	}
	defer x.Close()
	if name == "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return err
		}
		name = filepath.Base(dir)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("-address: %w", err)
	}
	errors := log.New(messages, "search: ", log.LstdFlags)
	fmt.Fprintf(out, "%s: %v; model %s; http://%s\n", dir, x, name, listener.Addr())
	return serve(ctx, listener, newServer(m, x, name, l, errors), l, errors)
}

// serve answers requests until ctx ends; then it takes no more and returns when
// those that it has are answered.
func serve(ctx context.Context, listener net.Listener, h http.Handler, l limits, errors *log.Logger) error {
	s := &http.Server{
		Handler: h, ErrorLog: errors, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: min(headerTimeout, l.sending), ReadTimeout: l.sending, IdleTimeout: idleTimeout,
		WriteTimeout: 2*l.sending + l.timeout, // counts from the header on
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), l.timeout+2*l.sending)
	defer cancel()
	if err := s.Shutdown(patience); err != nil {
		s.Close()
		return fmt.Errorf("not all requests were answered: %w", err)
	}
	return nil
}
