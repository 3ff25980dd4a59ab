package main

import (
	"fmt"
	"slices"
)

// printSpeed prints the medians of each side, and how often ours fits into the
// others: the median of the pairs of rounds.
func (b *bench) printSpeed(s speed) {
	fmt.Printf("%d events a call, %d events, %d calls in flight, %d rounds\n", s.Batch, s.Events, s.InFlight, b.rounds)
	fmt.Printf("  %-16s %9s %8s %14s %9s %9s %9s %9s\n", "", "events/s", "CPU s/M", "ClickHouse s/M", "peak MiB", "B/event", "ack ms", "refused")
	for _, side := range b.sides {
		rounds := s.Rounds[side.name()]
		of := func(value func(round) float64) float64 { return median(rounds, value) }
		fmt.Printf("  %-16s %9.0f %8.1f %14.1f %9.0f %9.1f %9.0f %9.0f\n", side.name(),
			of(eventsPerSecond), of(cpu), of(databaseCPU), of(peak)/(1<<20), s.BytesPerEvent[side.name()], of(acknowledged), of(refusedCalls))
	}
	own := s.Rounds[b.sides[0].name()]
	for _, side := range b.sides[1:] {
		rounds := s.Rounds[side.name()]
		of := func(value func(round) float64) float64 { return ratio(rounds, own, value) }
		fmt.Printf("  ours is %.1f times as fast as %s; that one takes %.1f times the CPU, %.1f times ClickHouse's, %.1f times the memory, %.1f times the disk\n",
			1/of(eventsPerSecond), side.name(), of(cpu), of(databaseCPU), of(peak), s.BytesPerEvent[side.name()]/s.BytesPerEvent[b.sides[0].name()])
	}
	fmt.Println()
}

func printScene(s scene) {
	fmt.Printf("%s; %.0f events/s to each, %d a call\n", s.Name, s.Rate, sceneBatch)
	fmt.Printf("  %-16s %12s %8s %13s %9s %12s %9s\n", "", "acknowledged", "lost", "stored again", "refused", "all acked, s", "peak MiB")
	for _, l := range s.Losses {
		fmt.Printf("  %-16s %12d %8d %13d %9d %12.1f %9.0f\n", l.Side, l.Acknowledged, l.Lost, l.Again, l.Refused, l.SendSeconds, float64(l.PeakRSS)/(1<<20))
	}
	fmt.Println()
}

func eventsPerSecond(r round) float64 { return r.EventsPerSecond }
func cpu(r round) float64             { return r.CPUPerMillion }
func databaseCPU(r round) float64     { return r.DatabaseCPU }
func peak(r round) float64            { return float64(r.PeakRSS) }
func acknowledged(r round) float64    { return r.P50Ms }
func refusedCalls(r round) float64    { return float64(r.Refused) }

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
