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

// used returns the processor time of the sides that have ended.
func (l *load) used() (total time.Duration) {
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

// busySeconds returns the processor time of all programs but this one since the
// system started, or 0 where it does not tell.
func busySeconds() float64 {
	system, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(system), "\n")
	_, afterName, _ := strings.Cut(string(own), ") ")
	// All columns up to stolen time but those of idleness; user and system time.
	return seconds(line, 1, 4) + seconds(line, 6, 9) - seconds(afterName, 11, 13)
}

// seconds returns the sum of the columns from to to of a line, in hundredths.
func seconds(line string, from, to int) (total float64) {
	fields := strings.Fields(line)
	for i := from; i < min(to, len(fields)); i++ {
		ticks, _ := strconv.ParseFloat(fields[i], 64)
		total += ticks / 100
	}
	return total
}
