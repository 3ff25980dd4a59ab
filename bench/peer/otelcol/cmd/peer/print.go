package main

import (
	"fmt"
	"slices"
)

// columns are those of the table of speed.
var columns = []struct {
	title, format string
	value         func(round) float64
}{
	{"events/s", "%.0f", func(r round) float64 { return r.EventsPerSecond }},
	{"CPU s/M", "%.1f", func(r round) float64 { return r.CPUPerMillion }},
	{"ClickHouse's CPU s/M", "%.1f", func(r round) float64 { return r.DatabaseCPU }},
	{"peak MiB", "%.0f", func(r round) float64 { return float64(r.PeakRSS) / (1 << 20) }},
	{"ack p50, ms", "%.0f", func(r round) float64 { return r.P50Ms }},
}

// print prints a table as bench/results/peer.md has it: the medians of each side
// and, in brackets, how many times ours that is, the median of the pairs.
func (s *speed) print(sides []side) {
	fmt.Printf("### %d a call, %d calls in flight\n\n|  |", s.Batch, s.InFlight)
	for _, c := range columns {
		fmt.Printf(" %s |", c.title)
	}
	fmt.Print(" octets an event |\n| --- |")
	for range len(columns) + 1 {
		fmt.Print(" ---: |")
	}
	fmt.Println()
	own := sides[0].name()
	for _, side := range sides {
		name := side.name()
		fmt.Printf("| %s |", name)
		for _, c := range columns {
			printCell(name != own, c.format, median(s.Rounds[name], c.value), ratio(s.Rounds[name], s.Rounds[own], c.value))
		}
		printCell(name != own, "%.1f", s.BytesPerEvent[name], s.BytesPerEvent[name]/s.BytesPerEvent[own])
		fmt.Println()
	}
	fmt.Println()
}

func printCell(withRatio bool, format string, value, ratio float64) {
	fmt.Printf(" "+format, value)
	if withRatio {
		fmt.Printf(" (%.2g)", ratio)
	}
	fmt.Print(" |")
}

func (s *scene) print() {
	fmt.Printf("### %s, %.0f events/s to each\n\n", s.Name, s.Rate)
	fmt.Println("|  | acknowledged | lost | stored again | calls refused | all acknowledged after | peak MiB |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, l := range s.Losses {
		fmt.Printf("| %s | %d | %d | %d | %d | %.0f s | %.0f |\n", l.Side, l.Acknowledged, l.Lost, l.Again, l.Refused, l.SendSeconds, float64(l.PeakRSS)/(1<<20))
	}
	fmt.Println()
}

func median(rounds []round, value func(round) float64) float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, value(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// ratio is the median of one side's value over the other's in the same round.
func ratio(rounds, to []round, value func(round) float64) float64 {
	var all []float64
	for i, r := range rounds {
		all = append(all, value(r)/value(to[i]))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
