package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// spmModel is what ids depend on in the file of a SentencePiece model: a
// message ModelProto of its sentencepiece_model.proto.
type spmModel struct {
	pieces       []spmPiece
	modelType    uint64
	byteFallback bool
	suffix       bool // white space ends a piece, rather than to begin one

	normalizer, denormalizer spmNormalizerSpec

	// layout is a field of ours; data is the file without it.
	layout Layout
	data   []byte
}

type spmPiece struct {
	text  string
	score float32
	kind  uint64
}

type spmNormalizerSpec struct {
	charsmap                              []byte
	addPrefix, removeSpaces, escapeSpaces bool
}

// Kinds of pieces and of models, and the numbers of fields.
const (
	spmNormal      = 1
	spmUnknown     = 2
	spmControl     = 3
	spmUserDefined = 4
	spmUnused      = 5
	spmByte        = 6

	spmUnigram = 1
	spmBPE     = 2

	fieldPieces       = 1
	fieldTrainer      = 2
	fieldNormalizer   = 3
	fieldDenormalizer = 5
	// fieldLayout is among the numbers that the message leaves to others.
	fieldLayout = 7101

	fieldPieceText  = 1
	fieldPieceScore = 2
	fieldPieceKind  = 3

	fieldModelType    = 3
	fieldSuffix       = 24
	fieldByteFallback = 35

	fieldCharsmap     = 2
	fieldAddPrefix    = 3
	fieldRemoveSpaces = 4
	fieldEscapeSpaces = 5
)

// maxPiece is the length in bytes that SentencePiece wants pieces to be below.
const maxPiece = 8000

// protoField is one field of a message: its number and type, the value of a
// number, the bytes of the others.
type protoField struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	raw    []byte // with number and type
}

func (f *protoField) is(number protowire.Number, kind protowire.Type) bool {
	return f.number == number && f.kind == kind
}

// protoFields calls one for each field of a message.
func protoFields(message []byte, one func(f *protoField) error) error {
	for at := 0; at < len(message); {
		rest := message[at:]
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return fmt.Errorf("byte %d: %w", at, protowire.ParseError(n))
		}
		size := protowire.ConsumeFieldValue(number, kind, rest[n:])
		if size < 0 {
			return fmt.Errorf("byte %d: field %d: %w", at, number, protowire.ParseError(size))
		}
		f := protoField{number: number, kind: kind, raw: rest[:n+size]}
		switch kind {
		case protowire.VarintType:
			f.value, _ = protowire.ConsumeVarint(rest[n:])
		case protowire.Fixed32Type:
			v, _ := protowire.ConsumeFixed32(rest[n:])
			f.value = uint64(v)
		case protowire.BytesType:
			f.bytes, _ = protowire.ConsumeBytes(rest[n:])
		}
		if err := one(&f); err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
		at += n + size
	}
	return nil
}

// parseSPM reads the file of a model. It takes memory in proportion to data.
func parseSPM(data []byte) (*spmModel, error) {
	m := &spmModel{modelType: spmUnigram}
	m.normalizer = spmNormalizerSpec{addPrefix: true, removeSpaces: true, escapeSpaces: true}
	m.denormalizer = m.normalizer
	err := protoFields(data, func(f *protoField) error {
		if f.is(fieldLayout, protowire.BytesType) {
			m.layout = Layout(f.bytes)
			return nil
		}
		m.data = append(m.data, f.raw...)
		if f.kind != protowire.BytesType {
			return nil
		}
		switch f.number {
		case fieldPieces:
			if len(m.pieces) == maxTokens {
				return fmt.Errorf("has more than %d pieces", maxTokens)
			}
			p, err := parsePiece(f.bytes)
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(m.pieces), err)
			}
			m.pieces = append(m.pieces, p)
		case fieldTrainer:
			return m.parseTrainer(f.bytes)
		case fieldNormalizer:
			return m.normalizer.parse(f.bytes)
		case fieldDenormalizer:
			return m.denormalizer.parse(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

func parsePiece(message []byte) (spmPiece, error) {
	p := spmPiece{kind: spmNormal}
	err := protoFields(message, func(f *protoField) error {
		switch {
		case f.is(fieldPieceText, protowire.BytesType):
			p.text = string(f.bytes)
		case f.is(fieldPieceScore, protowire.Fixed32Type):
			p.score = math.Float32frombits(uint32(f.value))
		case f.is(fieldPieceKind, protowire.VarintType) && f.value >= spmNormal && f.value <= spmByte:
			p.kind = f.value
		}
		return nil
	})
	switch score := float64(p.score); {
	case err != nil:
		return p, err
	case p.text == "":
		return p, errors.New("is empty")
	case len(p.text) >= maxPiece:
		return p, fmt.Errorf("has %d bytes, want less than %d", len(p.text), maxPiece)
	case strings.IndexByte(p.text, 0) >= 0:
		return p, fmt.Errorf("%.100q has a zero byte", p.text)
	case math.IsNaN(score) || math.IsInf(score, 0):
		return p, fmt.Errorf("%.100q has the score %v", p.text, score)
	}
	return p, nil
}

func (m *spmModel) parseTrainer(message []byte) error {
	return protoFields(message, func(f *protoField) error {
		switch {
		case f.is(fieldModelType, protowire.VarintType):
			m.modelType = f.value
		case f.is(fieldSuffix, protowire.VarintType):
			m.suffix = f.value != 0
		case f.is(fieldByteFallback, protowire.VarintType):
			m.byteFallback = f.value != 0
		}
		return nil
	})
}

func (n *spmNormalizerSpec) parse(message []byte) error {
	return protoFields(message, func(f *protoField) error {
		switch {
		case f.is(fieldCharsmap, protowire.BytesType):
			n.charsmap = f.bytes
		case f.is(fieldAddPrefix, protowire.VarintType):
			n.addPrefix = f.value != 0
		case f.is(fieldRemoveSpaces, protowire.VarintType):
			n.removeSpaces = f.value != 0
		case f.is(fieldEscapeSpaces, protowire.VarintType):
			n.escapeSpaces = f.value != 0
		}
		return nil
	})
}

// check tells what SentencePiece would refuse, and what is not implemented.
func (m *spmModel) check() error {
	switch m.modelType {
	case spmUnigram, spmBPE:
	default:
		return fmt.Errorf("the model is of type %d; only Unigram (1) and BPE (2) are supported", m.modelType)
	}
	if len(m.denormalizer.charsmap) > 0 {
		return errors.New("denormalizer_spec has a precompiled_charsmap, which is not supported")
	}
	ids := make(map[string]int, len(m.pieces))
	unknown := -1
	bytes := 0
	for i, p := range m.pieces {
		if other, ok := ids[p.text]; ok {
			return fmt.Errorf("pieces %d and %d are both %.100q", other, i, p.text)
		}
		ids[p.text] = i
		switch p.kind {
		case spmUnknown:
			if unknown >= 0 {
				return fmt.Errorf("pieces %d and %d are both unknown", unknown, i)
			}
			unknown = i
		case spmByte:
			if _, ok := byteOfToken(p.text); !ok {
				return fmt.Errorf("piece %d, %.100q, is of type BYTE but no byte like <0x0A>", i, p.text)
			}
			bytes++
		}
	}
	switch {
	case m.byteFallback && bytes != 256:
		return fmt.Errorf("byte_fallback with %d bytes among the pieces", bytes)
	case !m.byteFallback && bytes > 0:
		return errors.New("there are byte pieces without byte_fallback")
	case unknown < 0:
		return errors.New("there is no piece for unknown text")
	}
	return nil
}

// byteOfToken returns the byte of a token like <0x0A>.
func byteOfToken(token string) (b byte, ok bool) {
	const digits = "0123456789ABCDEF"
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	high, low := strings.IndexByte(digits, token[3]), strings.IndexByte(digits, token[4])
	return byte(high<<4 | low), high >= 0 && low >= 0
}
