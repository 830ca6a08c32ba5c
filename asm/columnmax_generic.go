package asm

func columnMaxGeneric(y []float32, rows []int32, x []float32, n, ld int, first int32) {
	copy(y, x)
	for j := range rows {
		rows[j] = first
	}
	for i := 1; i < n; i++ {
		for j, v := range x[i*ld : i*ld+len(y)] {
			if v > y[j] {
				y[j], rows[j] = v, first+int32(i)
			}
		}
	}
}
