package checkpoint_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/marge/checkpoint"
)

func Example() {
	root, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)

	for step := 100; step <= 300; step += 100 {
		_, _, err := checkpoint.Write(root, step, 2, func(dir *checkpoint.Dir) error {
			return dir.WriteFile("trainer.json", fmt.Appendf(nil, `{"step":%d}`, step))
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Damage the newest.
	if err := os.Truncate(filepath.Join(root, "checkpoint-300", "trainer.json"), 4); err != nil {
		log.Fatal(err)
	}

	path, step, err := checkpoint.Latest(root, func(d checkpoint.Damaged) {
		fmt.Println("damaged:", filepath.Base(d.Path))
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(path), step)
	// Output:
	// damaged: checkpoint-300
	// checkpoint-200 200
}
