package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// load tells how much of the processor others took.
type load struct {
	start time.Time
	busy  float64
	sides []*side
	ours  time.Duration
}

func startLoad(sides []*side) *load {
	l := &load{start: time.Now(), busy: busySeconds(), sides: sides}
	l.ours = l.used()
	return l
}

// used returns the processor time of this program and of the sides that have
// ended.
func (l *load) used() time.Duration {
	total := ownTime()
	for _, s := range l.sides {
		total += s.used
	}
	return total
}

// others returns the share of one core that other programs took since start.
// All sides must have ended.
func (l *load) others() float64 {
	return max(0, busySeconds()-l.busy-(l.used()-l.ours).Seconds()) / time.Since(l.start).Seconds()
}

// busySeconds returns the processor time of all programs since the system
// started, or 0 where it does not tell.
func busySeconds() float64 {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	const idle, waiting, steal = 4, 5, 8 // columns
	total := 0.0
	for i, f := range strings.Fields(line) {
		if ticks, err := strconv.ParseFloat(f, 64); err == nil && i != idle && i != waiting && i <= steal {
			total += ticks / 100
		}
	}
	return total
}

// ownTime returns the processor time of this program, or 0 where the system
// does not tell.
func ownTime() time.Duration {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, fields, _ := strings.Cut(string(data), ") ") // after the name
	const user, system = 11, 12
	f := strings.Fields(fields)
	ticks := 0
	for _, i := range []int{user, system} {
		if i < len(f) {
			n, _ := strconv.Atoi(f[i])
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100
}
