package prepare

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// A record is what moves between steps. Engines sort records by key, then by
// value, byte by byte. The first field of the key, up to a space, says which
// records belong together; where an engine has several parts, all records with
// the same first field are in the same.
//
// Fields of keys are hexadecimal, which keeps the order of the bytes and needs
// no escapes: dates and IDs are what others wrote. A value is JSON.
//
//	documents   hex(ID) 1 hex(date)               the document
//	exact       SHA-256(text) hex(date) hex(ID)   null
//	near        band hex(date) hex(ID)            the signature, base64
//	drop        hex(ID) 0                         the reason
//	size        hex(shard)                        a number of characters
//	part        hex(shard)                        a number of parts
//	shard       hex(name of the shard) hex(ID)    the document
type record struct{ key, value []byte }

func (r record) compare(other record) int {
	return cmp.Or(bytes.Compare(r.key, other.key), bytes.Compare(r.value, other.value))
}

// group returns the first field of the key.
func (r record) group() []byte {
	group, _, _ := bytes.Cut(r.key, []byte{' '})
	return group
}

// fields returns the n fields of the key.
func (r record) fields(n int) ([][]byte, error) {
	fields := bytes.Split(r.key, []byte{' '})
	if len(fields) != n {
		return nil, fmt.Errorf("the key %.200q has %d fields, want %d", r.key, len(fields), n)
	}
	return fields, nil
}

// emit takes a record, which is valid until it returns.
type emit func(r record) error

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

func unhex(field []byte) (string, error) {
	b, err := hex.DecodeString(string(field))
	if err != nil {
		return "", fmt.Errorf("%.200q is not hexadecimal", field)
	}
	return string(b), nil
}

var null = []byte("null")

func documentRecord(doc *corpus.Document) (record, error) {
	value, err := encodeDocument(doc)
	return record{[]byte(hexOf(doc.ID) + " 1 " + hexOf(doc.Date)), value}, err
}

func exactRecord(doc *corpus.Document) record {
	sum := sha256.Sum256([]byte(doc.Text))
	return record{[]byte(hex.EncodeToString(sum[:]) + " " + hexOf(doc.Date) + " " + hexOf(doc.ID)), null}
}

func dropRecord(id []byte, reason Reason) record {
	return record{append(bytes.Clone(id), " 0"...), []byte(`"` + string(reason) + `"`)}
}

// line is the JSON of a document, as corpus.Read reads it.
type line struct {
	ID     string `json:"id"`
	Lang   string `json:"lang"`
	Date   string `json:"date,omitempty"`
	Shard  string `json:"shard,omitempty"`
	Group  string `json:"group,omitempty"`
	Source string `json:"source,omitempty"`
	Text   string `json:"text"`
}

func encodeDocument(doc *corpus.Document) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(doc.Text) + len(doc.Text)/16 + 200)
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(line{doc.ID, doc.Lang, doc.Date, doc.Shard, doc.Group, doc.Source, doc.Text})
	if err != nil {
		return nil, fmt.Errorf("document %q: %w", doc.ID, err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

func decodeDocument(value []byte) (corpus.Document, error) {
	var l line
	if err := jsonx.Unmarshal(value, &l); err != nil {
		return corpus.Document{}, fmt.Errorf("not a document: %w", err)
	}
	doc := corpus.Document{
		ID: l.ID, Lang: l.Lang, Text: l.Text, Date: l.Date, Shard: l.Shard, Group: l.Group, Source: l.Source,
	}
	if doc.ID == "" || strings.TrimSpace(doc.Text) == "" {
		return doc, errors.New("not a document: it has no id or no text")
	}
	if _, err := langtag.Canonical(doc.Lang); err != nil {
		return doc, fmt.Errorf("not a document: lang: %w", err)
	}
	return doc, nil
}
