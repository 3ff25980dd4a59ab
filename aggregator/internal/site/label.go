package site

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/slicemetry/slicemetry/schema/catalog"
	"github.com/slicemetry/slicemetry/schema/metrics"
)

// label names a cell for people.
func label(m *metrics.Metric, key []string) string {
	if len(key) == 0 {
		return m.Title
	}
	parts := make([]string, len(key))
	for i, k := range m.Keys {
		parts[i] = value(k.Column, key[i])
	}
	if m.Name == "installations_by_version" {
		return parts[0] + " " + key[1] + "." + key[2]
	}
	return strings.Join(parts, ", ")
}

// value names one value of a column.
func value(column, v string) string {
	switch column {
	case "machine":
		if v == "custom" {
			return "other machines"
		}
		if machine, ok := catalog.MachineByID(v); ok {
			return machine.Name
		}
		return "other machines"
	case "application":
		if name := catalog.ApplicationName(v); name != "" {
			return name
		}
	case "changed_settings":
		return v // a key that people look up elsewhere
	}
	n, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return strings.ReplaceAll(v, "_", " ")
	}
	return number(column, n)
}

// number writes a number in the unit that its column's name ends with.
func number(column string, n float64) string {
	switch {
	case strings.HasSuffix(column, "_um"):
		return strconv.FormatFloat(n/1000, 'f', 2, 64) + " mm"
	case strings.HasSuffix(column, "_celsius"):
		return fmt.Sprintf("%g °C", n)
	case strings.HasSuffix(column, "_percent"):
		return fmt.Sprintf("%g %%", n)
	case strings.HasSuffix(column, "_mm_per_s"):
		return fmt.Sprintf("%g mm/s", n)
	case strings.HasSuffix(column, "_ms"):
		return duration(n / 1000)
	case strings.HasSuffix(column, "_s"):
		return duration(n)
	}
	return fmt.Sprintf("%g", n)
}

// duration writes seconds with as much detail as a glance takes in.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", seconds)
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", seconds)
	case d < 10*time.Minute:
		return fmt.Sprintf("%.1f min", d.Minutes())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%.1f d", d.Hours()/24)
}

// amount writes a published number with thin spaces between thousands: one
// decimal of small ones, none of others.
func amount(v float64) string {
	size := math.Abs(v)
	digits := strconv.FormatFloat(size, 'f', 0, 64)
	if size < 10 && v != math.Trunc(v) {
		digits = strconv.FormatFloat(size, 'f', 1, 64)
	}
	var b strings.Builder
	if v < 0 && strings.Trim(digits, "0.") != "" {
		b.WriteString("−")
	}
	if size < 1000 {
		return b.String() + digits
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString("\u202f")
		}
		b.WriteRune(d)
	}
	return b.String()
}

// percent writes a share.
func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// delta writes a small probability: 1e-8.
func delta(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 2, 64), "e-0", "e-", 1)
}

// position writes a percentage of a picture with as many digits as an eye sees.
func position(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".") + "%"
}
