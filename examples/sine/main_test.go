package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
)

func readme(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The README shows this program.
func TestREADME(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := bytes.Cut(program, []byte("package main\n"))
	if !bytes.Contains(readme(t), fmt.Appendf(nil, "```go\npackage main\n%s```\n", code)) {
		t.Error("README.md does not have the program examples/sine/main.go from its package clause on")
	}
}

// The methods of Tape and Tensor that the README names exist.
func TestNames(t *testing.T) {
	names := regexp.MustCompile("`(tape|t)\\.([A-Za-z0-9]+)").FindAllSubmatch(readme(t), -1)
	if len(names) < 60 {
		t.Errorf("README.md names %d methods, want those of its table", len(names))
	}
	types := map[string]reflect.Type{
		"tape": reflect.TypeFor[*tensor.Tape](), "t": reflect.TypeFor[*tensor.Tensor](),
	}
	for _, name := range names {
		if _, ok := types[string(name[1])].MethodByName(string(name[2])); !ok {
			t.Errorf("README.md names %s.%s, which there is not", name[1], name[2])
		}
	}
}

// The program learns.
func Example() {
	output := func(run func()) string {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		keep := os.Stdout
		os.Stdout = w
		run()
		os.Stdout = keep
		w.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			panic(err)
		}
		return b.String()
	}
	lines := strings.Split(output(main), "\n")
	var step int
	var loss float64
	if _, err := fmt.Sscanf(lines[4], "step %d: loss %f", &step, &loss); err != nil {
		panic(err)
	}
	fmt.Println(step, loss < 0.002)
	fmt.Println(lines[5])
	// Output:
	// 2000 true
	// float32[32]
}
