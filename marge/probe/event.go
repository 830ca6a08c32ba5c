package probe

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// An event file is a sequence of TFRecords, each of them a protocol buffer
// message of type tensorflow.Event. The numbers of the fields that are written
// here are those of tensorflow's event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	sessionStatus = 1 // enum
	sessionStart  = 1 // its value START

	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float
	valueHisto       = 5 // HistogramProto

	histoMin         = 1 // double, as the others
	histoMax         = 2
	histoNum         = 3
	histoSum         = 4
	histoSumSquares  = 5
	histoBucketLimit = 6 // packed: upper bounds
	histoBucket      = 7 // packed: counts
)

// eventPrefix begins the name of an event file, by which TensorBoard knows it.
const eventPrefix = "events.out.tfevents."

// now is the clock, which tests set.
var now = time.Now

// eventFile is a file that TensorBoard reads. Every record is handed to the
// system at once, so that a killed process leaves whole records.
type eventFile struct {
	f    *os.File
	last time.Time // of the last event of the run
}

// createEventFile makes a new event file in dir. TensorBoard shows all event
// files of a run as one; this one makes it drop what the earlier ones say about
// step first and later.
func createEventFile(dir string, first int) (*eventFile, error) {
	earlier, last, err := earlierEvents(dir)
	if err != nil {
		return nil, err
	}
	e := &eventFile{last: last}
	// TensorBoard reads the files in the order of their names: by time, and
	// those of one second by the last part.
	at := e.time()
	name := fmt.Sprintf("%s%010d.marge.%06d", eventPrefix, at.Unix(), earlier)
	e.f, err = os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	version := protowire.AppendTag(event(at, 0), eventFileVersion, protowire.BytesType)
	version = protowire.AppendString(version, "brain.Event:2")
	start := appendMessage(event(at, first), eventSessionLog, sessionStarted())
	for _, data := range [][]byte{version, start} {
		if err := e.write(data); err != nil {
			e.f.Close()
			return nil, err
		}
	}
	return e, nil
}

// earlierEvents returns how many event files dir has, and the latest time in
// their names and in the events of the last one.
func earlierEvents(dir string) (files int, latest time.Time, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return 0, time.Time{}, err
	}
	last := ""
	for _, entry := range entries {
		rest, ok := strings.CutPrefix(entry.Name(), eventPrefix)
		if !ok {
			continue
		}
		files++
		last = entry.Name()
		seconds, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && n > latest.Unix() {
			latest = time.Unix(n, 0)
		}
	}
	if last == "" {
		return 0, time.Time{}, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, last))
	if err != nil {
		return 0, time.Time{}, err
	}
	if at := latestEvent(data); at.After(latest) {
		latest = at
	}
	return files, latest, nil
}

// latestEvent returns the latest wall time of an event file's whole records.
func latestEvent(data []byte) (latest time.Time) {
	const header, footer = 12, 4
	for len(data) >= header+footer {
		n := binary.LittleEndian.Uint64(data)
		if maskedCRC(data[:8]) != binary.LittleEndian.Uint32(data[8:]) || n > uint64(len(data)-header-footer) {
			break
		}
		message := data[header : header+n]
		data = data[header+n+footer:]
		// The wall time comes first in an event, as [event] and TensorBoard write it.
		field, typ, size := protowire.ConsumeTag(message)
		if size < 0 || field != eventWallTime || typ != protowire.Fixed64Type {
			continue
		}
		bits, size := protowire.ConsumeFixed64(message[size:])
		if seconds := math.Float64frombits(bits); size > 0 && seconds > 0 && seconds < math.MaxInt64/1e6 {
			if at := time.UnixMicro(int64(math.Ceil(seconds * 1e6))); at.After(latest) {
				latest = at
			}
		}
	}
	return latest
}

// time returns the time of the next event: now, but not before that of the last
// one if the clock was set back.
func (e *eventFile) time() time.Time {
	if at := now(); at.After(e.last) {
		e.last = at
	}
	return e.last
}

// sessionStarted is the SessionLog message of a process that starts.
func sessionStarted() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart)
}

// append writes the figures of a record: every number in it is a scalar, and
// every Histogram a histogram, named by the path to it in the JSON, as in
// "heldout/p_at_1".
func (e *eventFile) append(r *Record) error {
	var s summary
	s.add("", reflect.ValueOf(r))
	return e.write(appendMessage(event(e.time(), r.Step), eventSummary, s))
}

func (e *eventFile) close() error { return e.f.Close() }

// write writes a message as a TFRecord: its length in 8 bytes, their checksum,
// the message, its checksum.
func (e *eventFile) write(message []byte) error {
	record := make([]byte, 0, len(message)+16)
	record = binary.LittleEndian.AppendUint64(record, uint64(len(message)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, message...)
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(message))
	_, err := e.f.Write(record)
	return err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of TFRecords.
func maskedCRC(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// event begins an Event message.
func event(at time.Time, step int) []byte {
	b := appendDouble(nil, eventWallTime, float64(at.UnixMicro())/1e6)
	return protowire.AppendVarint(protowire.AppendTag(b, eventStep, protowire.VarintType), uint64(step))
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

// summary is a Summary message.
type summary []byte

// add adds what a value holds under a name.
func (s *summary) add(name string, v reflect.Value) {
	below := func(part string) string { return strings.TrimPrefix(name+"/"+part, "/") }
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			s.add(name, v.Elem())
		}
	case reflect.Struct:
		if h, ok := v.Interface().(Histogram); ok {
			s.scalar(below("mean"), h.Mean)
			s.histogram(name, &h)
			return
		}
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if tag != "-" && tag != "step" {
				s.add(below(tag), v.Field(i))
			}
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			s.add(below(key.String()), v.MapIndex(key))
		}
	case reflect.Int, reflect.Int64:
		s.scalar(name, float64(v.Int()))
	case reflect.Float64:
		s.scalar(name, v.Float())
	case reflect.String, reflect.Bool: // not figures
	default:
		panic(fmt.Sprintf("probe: %s of a record is a %s, for which there is no event", name, v.Type()))
	}
}

func (s *summary) value(name string, field protowire.Number, typ protowire.Type, encoded []byte) {
	v := protowire.AppendString(protowire.AppendTag(nil, valueTag, protowire.BytesType), name)
	v = append(protowire.AppendTag(v, field, typ), encoded...)
	*s = appendMessage(*s, summaryValue, v)
}

func (s *summary) scalar(name string, v float64) {
	bits := math.Float32bits(float32(v))
	s.value(name, valueSimpleValue, protowire.Fixed32Type, protowire.AppendFixed32(nil, bits))
}

func (s *summary) histogram(name string, h *Histogram) {
	n := float64(h.N)
	b := appendDouble(nil, histoMin, h.Min)
	b = appendDouble(b, histoMax, h.Max)
	b = appendDouble(b, histoNum, n)
	b = appendDouble(b, histoSum, n*h.Mean)
	b = appendDouble(b, histoSumSquares, n*(h.Std*h.Std+h.Mean*h.Mean))
	var limits, counts []byte
	for i, count := range h.Counts {
		_, high := Bounds(i)
		limits = protowire.AppendFixed64(limits, math.Float64bits(high))
		counts = protowire.AppendFixed64(counts, math.Float64bits(float64(count)))
	}
	b = appendMessage(appendMessage(b, histoBucketLimit, limits), histoBucket, counts)
	s.value(name, valueHisto, protowire.BytesType, protowire.AppendBytes(nil, b))
}
