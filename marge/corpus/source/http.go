package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/marge/corpus"
)

// response passes on the document that a record of an archive holds.
func (w *warc) response(rec *warcRecord) error {
	if rec.long {
		w.stats.drop(TooLong, 1)
		return nil
	}
	doc, err := w.document(rec)
	var d dropError
	if errors.As(err, &d) {
		w.stats.drop(d.reason, 1)
		return nil
	}
	return w.emit(doc)
}

// dropError tells why a record is no document.
type dropError struct {
	reason Reason
	err    error
}

func (e dropError) Error() string { return fmt.Sprintf("%v: %v", e.reason, e.err) }

func drop(reason Reason, format string, args ...any) error {
	return dropError{reason, fmt.Errorf(format, args...)}
}

// document returns the document of a record, or a dropError.
func (w *warc) document(rec *warcRecord) (corpus.Document, error) {
	uri := strings.Trim(rec.header.Get("WARC-Target-URI"), "<>") // as WARC 1.0 allows
	doc := corpus.Document{ID: strings.Trim(rec.header.Get("WARC-Record-ID"), "<>"), Source: uri}
	if doc.ID == "" {
		doc.ID = uri
	}
	date := rec.header.Get("WARC-Date")
	date = date[:min(len(date), len(time.DateOnly))]
	if _, err := time.Parse(time.DateOnly, date); doc.ID == "" || err != nil {
		return doc, drop(BadRecord, "it has no WARC-Record-ID, or no WARC-Date: %v", err)
	}
	var err error
	body, kind := w.block, rec.header.Get("Content-Type")
	if strings.EqualFold(rec.header.Get("WARC-Type"), "response") {
		var header textproto.MIMEHeader
		if header, body, err = httpResponse(body); err != nil {
			return doc, err
		}
		kind = header.Get("Content-Type")
		if body, err = decodeBody(header, body, w.o.MaxBytes); err != nil {
			return doc, err
		}
	}
	media, _, _ := mime.ParseMediaType(kind) // also with an error
	html := media == "text/html" || media == "application/xhtml+xml"
	if media != "" && !html && media != "text/plain" {
		return doc, drop(NotText, "its type is %s", media)
	}
	text, err := decodeText(body, kind)
	if err != nil {
		return doc, drop(NotText, "%w", err)
	}
	main := content{text: text}
	if html || media == "" {
		_, _, err = guarded(func([]byte) (_, _ string, err error) {
			main, err = mainContent(text)
			return "", "", err
		}, nil)
		if err != nil {
			return doc, drop(BadRecord, "%w", err)
		}
	}
	if day := main.published.Format(time.DateOnly); w.pageDate && !main.published.IsZero() && day < date {
		date = day
	}
	lang := main.lang
	if lang == "" {
		// As Common Crawl has it in WET files; of several languages it names the
		// parts, which are not known.
		lang = rec.header.Get("WARC-Identified-Content-Language")
	}
	doc.Text, doc.Lang, doc.Date = main.text, lang, date
	return doc, nil
}

// httpResponse splits a message into header and body. Lines that are no header
// end it.
func httpResponse(message []byte) (header textproto.MIMEHeader, body []byte, err error) {
	if !bytes.HasPrefix(message, []byte("HTTP/")) {
		return nil, nil, drop(OtherRecord, "it is no answer of HTTP")
	}
	end := maxHeaderBytes
	for _, blank := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(message[:min(len(message), end)], []byte(blank)); i >= 0 {
			end, body = i, message[i+len(blank):]
		}
	}
	if body == nil {
		return nil, nil, drop(BadRecord, "its header has no end")
	}
	status, lines, _ := bytes.Cut(message[:end], []byte("\n"))
	if code := bytes.Fields(status); len(code) < 2 || string(code[1]) != "200" {
		return nil, nil, drop(HTTPStatus, "its status is %q", status)
	}
	lines = append(bytes.Clone(lines), "\r\n\r\n"...)
	header, _ = textproto.NewReader(bufio.NewReader(bytes.NewReader(lines))).ReadMIMEHeader()
	return header, body, nil
}

// decodeBody undoes the encodings of a body (RFC 9112, section 6.1; RFC 9110,
// section 8.4), as far as its bytes begin as they do with them. Common Crawl
// puts X-Crawl- before the names of headers that its bodies no longer follow.
func decodeBody(header textproto.MIMEHeader, body []byte, maxBytes int) ([]byte, error) {
	for _, name := range []string{"Transfer-Encoding", "Content-Encoding"} {
		encodings := strings.Split(strings.Join(append(header[name], header["X-Crawl-"+name]...), ","), ",")
		for i := len(encodings) - 1; i >= 0; i-- {
			encoding := strings.ToLower(strings.TrimSpace(encodings[i]))
			r, err := decoder(encoding, body)
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			var decoded bytes.Buffer
			_, err = decoded.ReadFrom(io.LimitReader(r, int64(maxBytes)+1))
			if z, ok := r.(*zstd.Decoder); ok {
				z.Close()
			}
			if decoded.Len() > maxBytes {
				return nil, drop(TooLong, "it is longer than %d bytes", maxBytes)
			}
			if err != nil {
				return nil, drop(BadRecord, "%s: %w", encoding, err)
			}
			body = decoded.Bytes()
		}
	}
	return body, nil
}

// decoder returns what undoes an encoding, or nil if the body does not begin
// like that.
func decoder(encoding string, body []byte) (io.Reader, error) {
	switch encoding {
	case "", "identity":
		return nil, nil
	case "chunked":
		if chunkSize(body) {
			return httputil.NewChunkedReader(bytes.NewReader(body)), nil
		}
		return nil, nil
	case "gzip", "x-gzip":
		if !bytes.HasPrefix(body, []byte{0x1f, 0x8b, 8}) {
			return nil, nil
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, drop(BadRecord, "%w", err)
		}
		return z, nil
	case "deflate": // is zlib (RFC 1950, section 2.2)
		if len(body) < 2 || body[0]&0x0f != 8 || (int(body[0])<<8+int(body[1]))%31 != 0 {
			return nil, nil
		}
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, drop(BadRecord, "%w", err)
		}
		return z, nil
	case "zstd":
		if !bytes.HasPrefix(body, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
			return nil, nil
		}
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, drop(BadRecord, "%w", err)
		}
		return z, nil
	}
	if _, err := decodeText(body, ""); err != nil { // it is not decoded already
		return nil, drop(UnknownEncoding, "its encoding is %q", encoding)
	}
	return nil, nil
}

// chunkSize reports whether a body begins with the size of a chunk.
func chunkSize(body []byte) bool {
	line, _, found := bytes.Cut(body[:min(len(body), 1<<10)], []byte("\r\n"))
	line, _, _ = bytes.Cut(line, []byte(";"))
	line = bytes.TrimRight(line, " ")
	var size int64
	for _, c := range line {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < '0' || digit < 0 || size > 1<<32 {
			return false
		}
		size = size<<4 + int64(digit)
	}
	return found && len(line) > 0
}
