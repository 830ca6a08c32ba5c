package prepare

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/marge-go/marge/marge/corpus"
)

// Duplicates of an ID, of a text, or of most of a text are found among records
// that are sorted. Which of them stays depends on nothing but dates, IDs and
// texts: the one with the least date, of these the one with the least ID, byte
// by byte.

// changes tells whether the first field of the key is another than last time.
type changes struct{ group []byte }

func (c *changes) next(r record) bool {
	group := r.group()
	if c.group != nil && bytes.Equal(group, c.group) {
		return false
	}
	c.group = append(c.group[:0], group...)
	return true
}

// uniqueIDs passes on, of the documents of an ID, the first: that with the least
// date, of these that with the least record.
type uniqueIDs struct {
	changes
	dropped int // as SameID
}

func (u *uniqueIDs) add(r record, out emit) error {
	if u.next(r) {
		return out(r)
	}
	u.dropped++
	return nil
}

// exactDuplicates makes records of what to drop from records of exactRecord.
type exactDuplicates struct{ changes }

func (e *exactDuplicates) add(r record, out emit) error {
	fields, err := r.fields(3)
	if err != nil {
		return err
	}
	if e.next(r) {
		return nil
	}
	return out(dropRecord(fields[2], ExactDuplicate))
}

// bandRecords emits a record for every band of a document's signature.
func bandRecords(doc *corpus.Document, out emit) error {
	sig, ok := Sign(doc.Text)
	if !ok {
		return nil
	}
	value := sig.value()
	suffix := " " + hexOf(doc.Date) + " " + hexOf(doc.ID)
	for i := range bands {
		key := binary.BigEndian.AppendUint64([]byte{byte(i)}, sig.band(i))
		if err := out(record{[]byte(hex.EncodeToString(key) + suffix), value}); err != nil {
			return err
		}
	}
	return nil
}

// value returns the value of a record, and readValue is its inverse.
func (s *Signature) value() []byte {
	return []byte(`"` + base64.StdEncoding.EncodeToString(s.append(nil)) + `"`)
}

func (s *Signature) readValue(value []byte) error {
	var encoded string
	if err := json.Unmarshal(value, &encoded); err != nil {
		return fmt.Errorf("the signature: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != signatureBytes {
		return fmt.Errorf("the signature is not %d bytes as base64", signatureBytes)
	}
	*s = readSignature(b)
	return nil
}

// bandLimit is how many documents of a band the others are compared with.
const bandLimit = 64

// nearDuplicates makes records of what to drop from those of bandRecords. A
// document is dropped if one of the bandLimit first of a band of its is near
// and comes before it. That one may be dropped itself, here or elsewhere: what
// is dropped can be told from pairs, in one pass.
type nearDuplicates struct {
	changes
	first []Signature
}

func (n *nearDuplicates) add(r record, out emit) error {
	fields, err := r.fields(3)
	if err != nil {
		return err
	}
	var sig Signature
	if err := sig.readValue(r.value); err != nil {
		return fmt.Errorf("key %.200q: %w", r.key, err)
	}
	if n.next(r) {
		n.first = n.first[:0]
	}
	near := false
	for i := range n.first {
		if near = n.first[i].equal(&sig) >= nearEnough; near {
			break
		}
	}
	if len(n.first) < bandLimit {
		n.first = append(n.first, sig)
	}
	if near {
		return out(dropRecord(fields[2], NearDuplicate))
	}
	return nil
}

// dropping passes on the documents of which there is no record that they are to
// be dropped. Those come first.
type dropping struct {
	changes
	reason  Reason // of this ID
	dropped map[Reason]int
}

func (d *dropping) add(r record, out emit) error {
	if d.next(r) {
		d.reason = ""
	}
	if bytes.HasSuffix(r.key, []byte(" 0")) {
		if d.reason == "" {
			if err := json.Unmarshal(r.value, &d.reason); err != nil || d.reason == "" {
				return fmt.Errorf("key %.200q: %.200q is not a reason", r.key, r.value)
			}
		}
		return nil
	}
	if d.reason == "" {
		return out(r)
	}
	if d.dropped == nil {
		d.dropped = map[Reason]int{}
	}
	d.dropped[d.reason]++
	return nil
}
