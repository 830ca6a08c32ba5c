package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestHistogram(t *testing.T) {
	h := NewHistogram([]float32{-1, -0.96, 0, 0.5, 1, 1.0000001})
	if h.N != 6 || h.Min != -1 || h.Max != float64(float32(1.0000001)) || !(math.Abs(h.Mean-0.54/6) < 1e-6) {
		t.Errorf("%+v", h)
	}
	want := map[int]int{0: 2, 20: 1, 30: 1, 39: 2}
	for bin, count := range h.Counts {
		if count != want[bin] {
			t.Errorf("bin %d has %d, want %d", bin, count, want[bin])
		}
	}
	if low, high := Bounds(30); low != 0.5 || high != 0.55 {
		t.Errorf("bin 30 is from %v to %v", low, high)
	}
	if h := NewHistogram([]float32{0.25, -0.25}); h.Mean != 0 || h.Std != 0.25 {
		t.Errorf("%+v", h)
	}
	if h := NewHistogram(nil); h != (Histogram{}) {
		t.Errorf("of nothing: %+v", h)
	}
}

func TestAUC(t *testing.T) {
	for _, test := range []struct {
		a, b []float32
		want float64
	}{
		{[]float32{3, 1}, []float32{2, 0}, 0.75},
		{[]float32{1, 1}, []float32{1}, 0.5},
		{[]float32{0.9, 0.5}, []float32{0.1, 0.5}, 0.875},
		{[]float32{-1}, []float32{1}, 0},
		{nil, []float32{1}, 0.5},
	} {
		if got := auc(slices.Clone(test.a), slices.Clone(test.b)); got != test.want {
			t.Errorf("%v against %v: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// Records are those that TensorBoard writes, byte for byte.
func TestEventsAreTensorBoards(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "golden.tfevents"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "events")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	e := &eventFile{f: f}
	if err := e.write(appendMessage(event(time.Unix(1.5e9, 0), 7), eventSessionLog, sessionStarted())); err != nil {
		t.Fatal(err)
	}
	h := NewHistogram([]float32{0.25, 0.75})
	var s summary
	s.scalar("train/loss", 2.5)
	s.histogram("f", &h)
	if err := e.write(appendMessage(event(time.Unix(1.5e9, 25e7), 300), eventSummary, s)); err != nil {
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want\n%x", got, want)
	}
}

// TensorBoard reads the files of a run in the order of their names and expects
// times that do not go back, whatever the clock of a resumed run says.
func TestEventsClockSetBack(t *testing.T) {
	defer func() { now = time.Now }()
	dir := t.TempDir()
	clock := func(seconds int64) { now = func() time.Time { return time.Unix(seconds, 5e8) } }
	clock(2000)
	appendSteps(t, dir, 1, 10)
	first := eventFiles(t, dir)
	clock(1000)
	appendSteps(t, dir, 11, 20)
	clock(1500)
	l, err := OpenLog(dir, 21)
	if err != nil {
		t.Fatal(err)
	}
	for i, seconds := range []int64{3000, 2500, 3500} {
		clock(seconds)
		if err := l.Append(record(30 + i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	clock(1) // after a file that was cut short
	files := eventFiles(t, dir)
	data, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[2], data[:len(data)-1], 0o666); err != nil {
		t.Fatal(err)
	}
	appendSteps(t, dir, 40, 50)
	files = eventFiles(t, dir)
	if len(files) != 4 || files[0] != first[0] {
		t.Fatalf("event files %v, of which %v is the first", files, first)
	}
	// A process that was killed at once leaves an empty file.
	if err := os.WriteFile(filepath.Join(dir, eventPrefix+"0000004000.marge.000004"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	appendSteps(t, dir, 51, 60)
	all := eventFiles(t, dir)
	if last := all[len(all)-1]; len(all) != 6 || wallTimes(t, last)[0] != 4000 {
		t.Errorf("event files %v; the last does not begin at 4000, the time in the name before", all)
	}
	var times []float64
	for _, file := range files {
		times = append(times, wallTimes(t, file)...)
	}
	want := slices.Concat(slices.Repeat([]float64{2000.5}, 8), slices.Repeat([]float64{3000.5}, 5))
	if !slices.Equal(times, want) {
		t.Errorf("times %v, want %v", times, want)
	}
}

// wallTimes returns the time of each of a file's events, in seconds.
func wallTimes(t *testing.T, path string) (times []float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) >= 16 {
		n := int(binary.LittleEndian.Uint64(data))
		if len(data) < 16+n {
			break
		}
		if data[12] != eventWallTime<<3|byte(protowire.Fixed64Type) {
			t.Fatalf("%s: the first field of an event is %#x", path, data[12])
		}
		times = append(times, math.Float64frombits(binary.LittleEndian.Uint64(data[13:])))
		data = data[16+n:]
	}
	return times
}

// readEvents returns the steps of an event file's records and the scalars and
// histograms' tags of each.
func readEvents(t *testing.T, path string) (steps []int, tags []map[string]float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := func(message []byte, fn func(field protowire.Number, bytes []byte, number uint64)) {
		for len(message) > 0 {
			field, typ, n := protowire.ConsumeTag(message)
			message = message[max(n, 0):]
			var b []byte
			var v uint64
			switch typ {
			case protowire.VarintType:
				v, n = protowire.ConsumeVarint(message)
			case protowire.Fixed32Type:
				var v32 uint32
				v32, n = protowire.ConsumeFixed32(message)
				v = uint64(v32)
			case protowire.Fixed64Type:
				v, n = protowire.ConsumeFixed64(message)
			case protowire.BytesType:
				b, n = protowire.ConsumeBytes(message)
			}
			if n <= 0 {
				t.Fatalf("%s: a message that cannot be parsed", path)
			}
			message = message[n:]
			fn(field, b, v)
		}
	}
	for len(data) > 0 {
		n := int(binary.LittleEndian.Uint64(data))
		if binary.LittleEndian.Uint32(data[8:]) != maskedCRC(data[:8]) ||
			binary.LittleEndian.Uint32(data[12+n:]) != maskedCRC(data[12:12+n]) {
			t.Fatalf("%s: wrong checksum", path)
		}
		step, values := 0, map[string]float64{}
		fields(data[12:12+n], func(field protowire.Number, b []byte, number uint64) {
			switch field {
			case eventStep:
				step = int(number)
			case eventSummary:
				fields(b, func(_ protowire.Number, b []byte, _ uint64) {
					tag, value := "", 0.0
					fields(b, func(field protowire.Number, b []byte, number uint64) {
						switch field {
						case valueTag:
							tag = string(b)
						case valueSimpleValue:
							value = float64(math.Float32frombits(uint32(number)))
						case valueHisto:
							value = math.Inf(1)
						}
					})
					if _, ok := values[tag]; ok {
						t.Errorf("%s: step %d has %q twice", path, step, tag)
					}
					values[tag] = value
				})
			}
		})
		steps, tags = append(steps, step), append(tags, values)
		data = data[16+n:]
	}
	return steps, tags
}

func eventFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), eventPrefix) {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	return paths
}

func record(step int) *Record {
	aligned := 0.5
	h := NewHistogram([]float32{0.25})
	return &Record{
		Step: step, TargetTokens: int64(100 * step), Seconds: 1.5,
		Train: &Train{Loss: 2.25, Beta: 6},
		Links: &Links{Index: 1, AlignedShare: &aligned, ScoreAligned: &h, Pairs: map[string]int{"de-en": 4}},
		Extra: map[string]float64{"own": 7},
	}
}

func appendSteps(t *testing.T, dir string, first int, steps ...int) {
	t.Helper()
	l, err := OpenLog(dir, first)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := l.Append(record(step)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func stepsOf(t *testing.T, dir string) []int {
	t.Helper()
	records, err := ReadRecords(filepath.Join(dir, LogName))
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for _, r := range records {
		steps = append(steps, r.Step)
	}
	return steps
}

func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	appendSteps(t, dir, 1, 10, 20, 30)
	records, err := ReadRecords(filepath.Join(dir, LogName))
	if err != nil || len(records) != 3 || !reflect.DeepEqual(&records[1], record(20)) {
		t.Fatalf("%+v, %v", records, err)
	}
	steps, tags := readEvents(t, eventFiles(t, dir)[0])
	if !slices.Equal(steps, []int{0, 1, 10, 20, 30}) {
		t.Errorf("event steps %v", steps)
	}
	for tag, want := range map[string]float64{
		"target_tokens": 2000, "train/loss": 2.25, "train/beta": 6, "links/aligned_share": 0.5, "links/pairs/de-en": 4,
		"links/score_aligned": math.Inf(1), "links/score_aligned/mean": 0.25, "extra/own": 7,
	} {
		if got, ok := tags[3][tag]; !ok || got != want {
			t.Errorf("event %s: %v, want %v", tag, got, want)
		}
	}
	for tag := range tags[3] {
		if tag == "" || tag == "step" || strings.HasPrefix(tag, "heldout") || strings.HasSuffix(tag, "/") {
			t.Errorf("event %q", tag)
		}
	}

	// Resumed from a checkpoint at 24: what came after it is done again.
	appendSteps(t, dir, 25, 30, 40)
	if got := stepsOf(t, dir); !slices.Equal(got, []int{10, 20, 30, 40}) {
		t.Errorf("steps after resuming: %v", got)
	}
	files := eventFiles(t, dir)
	if len(files) != 2 {
		t.Fatalf("event files %v", files)
	}
	if steps, _ := readEvents(t, files[1]); !slices.Equal(steps, []int{0, 25, 30, 40}) {
		t.Errorf("event steps after resuming: %v", steps)
	}
	// Resumed from a checkpoint at 39: that of 40 comes again.
	appendSteps(t, dir, 40, 40)
	if got := stepsOf(t, dir); !slices.Equal(got, []int{10, 20, 30, 40}) {
		t.Errorf("steps after resuming again: %v", got)
	}
	// Started anew.
	appendSteps(t, dir, 1, 5)
	if got := stepsOf(t, dir); !slices.Equal(got, []int{5}) {
		t.Errorf("steps after starting anew: %v", got)
	}
}

func TestLogErrors(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(dir, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(record(4)); err == nil || !strings.Contains(err.Error(), "step 4 cannot follow step 4") {
		t.Errorf("a record before the first: %v", err)
	}
	bad := record(5)
	bad.Extra["own"] = math.NaN()
	if err := l.Append(bad); err == nil || !strings.Contains(err.Error(), "record of step 5") {
		t.Errorf("a figure that is not a number: %v", err)
	}
	if err := l.Append(record(5)); err != nil {
		t.Error(err)
	}
	l.Close()

	path := filepath.Join(dir, LogName)
	if _, err := ReadRecords(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(filepath.Join(dir, "file"), 1); err == nil {
		t.Error("a file is taken for a directory")
	}
}

// Damaged lines do not keep the others from being read, nor a run from going
// on.
func TestLogDamaged(t *testing.T) {
	for _, test := range []struct {
		lines string // separated by spaces
		steps []int
		want  []string // parts of the error, one a damaged line
	}{
		{`{"step":1} nonsense {"step":3}`, []int{1, 3}, []string{"metrics.jsonl:2: jsontext: invalid character"}},
		{`{"step":2} {"step":2}`, []int{2}, []string{"metrics.jsonl:2: step 2 is out of order"}},
		{`{"loss":2} {"step":4}`, []int{4}, []string{"metrics.jsonl:1: step 0 is out of order"}},
		{`{"step":1,"train":{"loss":""}}`, nil, []string{"metrics.jsonl:1: json"}},
		// One wrong digit does not cost the records after it.
		{`{"step":1} {"step":9} {"step":3} {"step":4}`, []int{1, 3, 4}, []string{"metrics.jsonl:2: step 9 is out of order"}},
		{`{"step":5} {"step":6} {"step":1} {"step":7}`, []int{5, 6, 7}, []string{"metrics.jsonl:3: step 1 is out of order"}},
		{`{"step":1} \x00 {"step":3} {"step":1} {} {"step":4}`, []int{1, 3, 4},
			[]string{"metrics.jsonl:2: ", "metrics.jsonl:4: ", "metrics.jsonl:5: "}},
		{`a b c d {"step":4}`, []int{4}, []string{"metrics.jsonl:1: ", "metrics.jsonl:3: ", "and 1 more damaged lines"}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, LogName)
		content := strings.ReplaceAll(test.lines, " ", "\n") + "\n"
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		steps := []int(nil)
		records, err := ReadRecords(path)
		for _, r := range records {
			steps = append(steps, r.Step)
		}
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Fatalf("%s: error %v", test.lines, err)
		}
		if !slices.Equal(steps, test.steps) {
			t.Errorf("%s: steps %v, want %v", test.lines, steps, test.steps)
		}
		l, err := OpenLog(dir, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(damage.Error(), want) || !strings.Contains(l.Damage().Error(), want) {
				t.Errorf("%s: %v and %v, want %q", test.lines, damage, l.Damage(), want)
			}
		}
		if err := errors.Join(l.Append(record(10)), l.Close()); err != nil {
			t.Fatal(err)
		}
		if got := stepsOf(t, dir); !slices.Equal(got, append(test.steps, 10)) {
			t.Errorf("%s: steps %v after the next record", test.lines, got)
		}
		// Nothing is lost: all lines are in one file or the other.
		var lines []string
		for _, name := range []string{LogName, LogName + ".damaged"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, strings.SplitAfter(string(data), "\n")...)
		}
		for line := range strings.Lines(content) {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: the line %q is gone", test.lines, line)
			}
		}
		l, err = OpenLog(dir, 11)
		if err != nil || l.Damage() != nil {
			t.Fatalf("opened again: %v, %v", l.Damage(), err)
		}
		l.Close()
	}
}

// Wherever the file ends, what is before is readable, and the log goes on.
func TestLogCutShort(t *testing.T) {
	dir := t.TempDir()
	appendSteps(t, dir, 1, 10, 20)
	path := filepath.Join(dir, LogName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(data, '\n') + 1
	for _, size := range []int{0, 1, first - 1, first, first + 1, len(data) - 1, len(data)} {
		if err := os.WriteFile(path, data[:size], 0o666); err != nil {
			t.Fatal(err)
		}
		want := []int{10, 20}[:bytes.Count(data[:size], []byte("\n"))]
		if got := stepsOf(t, dir); !slices.Equal(got, want) {
			t.Errorf("cut at %d: steps %v, want %v", size, got, want)
		}
		appendSteps(t, dir, 25, 30)
		if got := stepsOf(t, dir); !slices.Equal(got, append(slices.Clone(want), 30)) {
			t.Errorf("cut at %d and resumed: steps %v", size, got)
		}
	}
	if names := eventFiles(t, dir); len(names) != 8 || !slices.IsSorted(names) {
		t.Errorf("event files %v", names)
	}
}
