package jsonx

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

type base struct {
	Size int `json:"size"`
}

type record struct {
	base
	ID     string          `json:"id"`
	Name   *string         `json:"name"`
	Items  []record        `json:"items"`
	Counts map[string]int  `json:"counts"`
	Raw    json.RawMessage `json:"raw"`
	Plain  string
}

func TestUnmarshal(t *testing.T) {
	name := "n"
	for _, c := range []struct {
		data string
		want record
	}{
		{`{"id":"a","ID":"b","Id":7}`, record{ID: "a"}},
		{`{"ID":"b","id":"a"}`, record{ID: "a"}},
		{`{"\u0069d":"a","\u017fize":8}`, record{ID: "a"}}, // ſ folds to s
		{`{"size":3,"Size":4,"NAME":"x"}`, record{base: base{3}}},
		{`{"name":"n","other":[{"id":1}]} `, record{Name: &name}},
		{`{"name":null,"id":null}`, record{}},
		{`{"items":[{"id":"a","ID":"b"},{"Id":"c"}]}`, record{Items: []record{{ID: "a"}, {}}}},
		{`{"counts":{"a":1,"A":2}}`, record{Counts: map[string]int{"a": 1, "A": 2}}},
		{`{"raw":{"x":[1, 2]}}`, record{Raw: json.RawMessage(`{"x":[1, 2]}`)}},
		{`{"plain":"x","Plain":"y"}`, record{Plain: "y"}},
	} {
		var got record
		if err := Unmarshal([]byte(c.data), &got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.data, got, err, c.want)
		}
	}
}

func TestUnmarshalErrors(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{`{"id":"a","id":"b"}`, `duplicate object member name "id"`},
		{`{"x":{"y":1,"y":1}}`, `duplicate object member name "y" within "/x"`},
		{`{"id":7}`, `"/id"`},
		{`{"items":[{},{"id":7}]}`, `"/items/1/id"`},
		{"{\"id\":\"\xc3\"}", "invalid UTF-8"},
		{`{"id":"\ud83d"}`, `\ud83d`},
		{`{"id":"a"} {}`, "after top-level value"},
		{`{"id":"a"`, "unexpected EOF"},
		{``, "unexpected EOF"},
		{`{"x":` + strings.Repeat("[", 20_000), "depth"},
	} {
		err := Unmarshal([]byte(c.data), new(record))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: error %v, want one with %s", c.data, err, c.want)
		}
		if strings.Contains(c.want, "EOF") && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error %v does not wrap %v", c.data, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestUnmarshalStrict(t *testing.T) {
	var r record
	if err := UnmarshalStrict([]byte(`{"id":"a","items":[{"size":1}],"counts":{"other":1}}`), &r); err != nil {
		t.Error(err)
	}
	for data, want := range map[string]string{
		`{"ID":"a"}`:                `"ID"`,
		`{"items":[{"other":"a"}]}`: `"other" within "/items/0"`,
	} {
		if err := UnmarshalStrict([]byte(data), &r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %s", data, err, want)
		}
	}
}
