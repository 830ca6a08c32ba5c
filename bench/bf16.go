package bench

import "slices"

// bf16 is the Precision of products of bfloat16 values.
const bf16 = "bf16"

// bf16Workloads returns products and training steps in bfloat16, the cubes and steps in
// float32 too: each name of these is that of a workload before it, with its precision.
func bf16Workloads() (list []Workload) {
	add := func(w Workload, both bool) {
		if both {
			w.Group = "float32"
			list = append(list, w)
		}
		w.Precision, w.Group = bf16, w.Op
		w.Name += " " + bf16
		list = append(list, w)
	}
	for _, w := range gemmWorkloads() {
		cube := w.Group == "cubes" && w.M >= 512
		if cube || w.M*w.N*w.K > 1<<24 && slices.Contains([]string{"small", "base"}, w.Group) && !w.Long {
			add(w, cube)
		}
	}
	for _, w := range stepWorkloads() {
		if w.Kind == "small" || w.Kind == "base" {
			w.Quick = true
			add(w, true)
		}
	}
	return list
}
