//go:build cuda

package bench

import (
	"os"
	"sync"

	"github.com/marge-go/marge/gpu"
)

// Emulated cards tell nothing about speed, but a benchmark that runs is one that works.
func init() {
	openDevices = sync.OnceValue(func() (devices []device) {
		for _, precision := range []gpu.Precision{gpu.FP32, gpu.TF32, gpu.BF16} {
			b, err := gpu.New(gpu.Options{Precision: precision, CUBLAS: os.Getenv("MARGE_CUBLAS")})
			if err != nil || b.Card() == "marge emulator" && os.Getenv("MARGE_BENCH_EMULATED") != "1" {
				return nil
			}
			name := "cuda/" + precision.String()
			if b.CUBLAS() != "" {
				name += "/cublas"
			}
			devices = append(devices, device{name, b})
		}
		return devices
	})
}
