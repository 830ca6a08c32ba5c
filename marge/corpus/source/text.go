package source

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html/charset"
)

// plain is the format of text without markup.
func plain(data []byte) (text, lang string, err error) {
	text, err = decodeText(data, "")
	return text, "", err
}

// markdown is the format of CommonMark with GitHub's tables and the like. What
// it looks like as HTML is what a reader sees.
func markdown(data []byte) (text, lang string, err error) {
	text, err = decodeText(data, "")
	if err != nil {
		return "", "", err
	}
	var out bytes.Buffer
	// HTML in it counts: what is not safe in it has no text.
	converter := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := converter.Convert([]byte(text), &out); err != nil {
		return "", "", err
	}
	root, err := parse(out.String())
	if err != nil {
		return "", "", err
	}
	return visibleText(root), "", nil
}

var errBinary = errors.New("it is not text")

// decodeText returns the text of bytes in an encoding that they tell, or that
// contentType names, a header of HTTP that may be "".
func decodeText(data []byte, contentType string) (string, error) {
	if kind := http.DetectContentType(data); !strings.HasPrefix(kind, "text/") {
		return "", fmt.Errorf("%w but seems to be %s", errBinary, kind)
	}
	// ISO-2022-JP is ASCII with escapes.
	valid := utf8.Valid(data)
	if !valid || bytes.IndexByte(data, 0x1b) >= 0 {
		encoding, name, _ := charset.DetermineEncoding(data, contentType)
		if !valid && name != "utf-8" || name == "iso-2022-jp" {
			decoded, err := encoding.NewDecoder().Bytes(data)
			if err != nil {
				return "", fmt.Errorf("decode from %s: %w", name, err)
			}
			data, valid = decoded, false
		}
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return "", fmt.Errorf("%w: it has zero bytes", errBinary)
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if !valid {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	return text, nil
}
