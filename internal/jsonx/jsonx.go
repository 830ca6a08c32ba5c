// Package jsonx decodes JSON with exact member names. Names are case-sensitive
// (RFC 8259), but encoding/json lets a member "Text" set the field of "text".
//
// It fixes the options of encoding/json/v2 for the whole module. Go 1.27 has
// that package; its mirror stands in for it until then.
package jsonx

import "github.com/go-json-experiment/json"

// Unmarshal decodes one JSON value into what v points to. A field of a struct
// takes the member whose name equals that of its json tag, or of the field if
// there is no tag, letter by letter. Other members are ignored; null sets a
// field to zero.
//
// It is an error, which names the place as in "/model/vocab", if a member of
// any object occurs twice, if a string is not valid UTF-8 or has an escape for
// half a UTF-16 surrogate pair, if a value does not fit its field, or if
// something follows the value. An error of data that end too early wraps
// io.ErrUnexpectedEOF. Values are nested at most 10,000 deep.
func Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// UnmarshalStrict is Unmarshal for formats that are known whole: a member that
// no field takes is an error.
func UnmarshalStrict(data []byte, v any) error {
	return json.Unmarshal(data, v, json.RejectUnknownMembers(true))
}
