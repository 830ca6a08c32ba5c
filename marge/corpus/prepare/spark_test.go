package prepare

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge/index"
)

// Spark makes what Run and Index make. The test needs spark-submit, whose path is in
// MARGE_SPARK_SUBMIT, and takes the master from MARGE_SPARK_MASTER.
func TestSpark(t *testing.T) {
	submit := os.Getenv("MARGE_SPARK_SUBMIT")
	if submit == "" {
		t.Skip("MARGE_SPARK_SUBMIT is not set")
	}
	master := os.Getenv("MARGE_SPARK_MASTER")
	if master == "" {
		master = "local[1]"
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "prepare")
	if output, err := exec.Command("go", "build", "-o", program, "./cmd/prepare").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	submitted := func(args ...string) {
		t.Helper()
		args = append([]string{
			"--master", master, "--driver-memory", "512m", "--conf", "spark.ui.enabled=false", "spark/prepare.py",
			"--prepare", program, "--partitions", "2",
		}, args...)
		if output, err := exec.Command(submit, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	t.Run("corpus", func(t *testing.T) {
		docs := collection(3, 400)
		files := []string{filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl.zst")}
		for i, file := range files {
			writeLines(t, file, docs[i*200:i*200+200])
		}
		want := t.TempDir()
		o := Options{Shards: Shards{Groups: 3, MaxCharacters: 60_000}, partitions: 3}
		if _, err := Run(t.Context(), want, files, o); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "corpus")
		submitted("--out", out, "--groups", "3", "--max-shard", "60k", files[1], files[0])
		if got, want := fingerprint(t, out), fingerprint(t, want); got != want {
			t.Errorf("fingerprint %s, want %s", got, want)
		}
	})
	t.Run("index", func(t *testing.T) {
		docs, model := multilingual(3, 200), checkpoint(t, 7, "en", "de", "pt-BR")
		want := t.TempDir()
		o := IndexOptions{Checkpoint: model, Links: index.LinkOptions{Mono: 1, Cross: 2}, Vectors: index.BFloat16}
		mustIndex(t, want, shardsOf(t, docs, 1, Options{}), o)
		files := []string{filepath.Join(dir, "c.jsonl"), filepath.Join(dir, "d.jsonl")}
		slices.Reverse(docs)
		for i, file := range files {
			writeLines(t, file, docs[i*150:min(i*150+150, 200)])
		}
		out := filepath.Join(dir, "index")
		args := []string{
			"--out", filepath.Join(dir, "corpus of index"), "--checkpoint", model, "--index", out,
			"--mono", "1", "--cross", "2", "--per-target", "false", "--vectors", "bfloat16",
		}
		submitted(append(args, files...)...)
		wantFiles(t, "Spark", contents(t, out), contents(t, want))
		submitted(args...) // complete
		wantFiles(t, "Spark, again", contents(t, out), contents(t, want))
	})
}
