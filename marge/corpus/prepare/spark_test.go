package prepare

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Spark makes what Run makes. The test needs spark-submit, whose path is in
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
	args := []string{
		"--master", master, "--driver-memory", "512m", "--conf", "spark.ui.enabled=false", "spark/prepare.py",
		"--prepare", program, "--out", out, "--partitions", "2", "--groups", "3", "--max-shard", "60k", files[1], files[0],
	}
	if output, err := exec.Command(submit, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got, want := fingerprint(t, out), fingerprint(t, want); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
