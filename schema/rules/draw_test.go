package rules

import (
	"math/rand/v2"
	"slices"
	"testing"

	telemetryv1 "github.com/slicemetry/slicemetry/proto/telemetry/v1"
	"github.com/slicemetry/slicemetry/schema/catalog"
)

// Of many changed settings, each is as likely to be kept, and each pair of
// settings too. With 12,000 draws of 4 out of 40 a setting is kept 1,200 times on
// average, standard deviation 33, and a pair 92 times, standard deviation 10. The
// bounds are at 6 of those, so the 820 of them fail by chance less than once in
// 10^6 runs; draws that follow one another are as good as random ones.
func TestSampleIsUniform(t *testing.T) {
	for name, draw := range map[string]func(i int) Draw{
		"random": func(int) Draw { return Draw(rand.Uint64()) }, "counted": func(i int) Draw { return Draw(i) },
	} {
		keys := catalog.Values("setting")[:40]
		kept, together := map[string]int{}, map[[2]string]int{}
		for i := range 12_000 {
			dst := &telemetryv1.Slice{}
			Coarsen(dst, &telemetryv1.Slice{ChangedSettings: keys}, draw(i), nil)
			if len(dst.ChangedSettings) != 4 {
				t.Fatalf("%d keys kept, want 4", len(dst.ChangedSettings))
			}
			for k, key := range dst.ChangedSettings {
				kept[key]++
				for _, other := range dst.ChangedSettings[k+1:] {
					together[[2]string{key, other}]++
				}
			}
		}
		for _, key := range keys {
			if n := kept[key]; n < 1200-200 || n > 1200+200 {
				t.Errorf("%s: %s kept %d times, want about 1200", name, key, n)
			}
		}
		slices.Sort(keys)
		for k, key := range keys {
			for _, other := range keys[k+1:] {
				if n := together[[2]string{key, other}]; n < 92-60 || n > 92+60 {
					t.Errorf("%s: %s and %s kept together %d times, want about 92", name, key, other, n)
				}
			}
		}
	}
}

// One draw shows the same part of a list every time, in whatever order the list
// comes: a thousand events tell no more than one.
func TestOneDrawShowsOneSample(t *testing.T) {
	keys := slices.Clone(catalog.Values("setting")[:40])
	var first []string
	for range 1000 {
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		dst := &telemetryv1.Slice{}
		Coarsen(dst, &telemetryv1.Slice{ChangedSettings: keys}, 7, nil)
		if first == nil {
			first = dst.ChangedSettings
		}
		if !slices.Equal(first, dst.ChangedSettings) || !slices.IsSorted(first) {
			t.Fatalf("kept %v, then %v", first, dst.ChangedSettings)
		}
	}
	other := &telemetryv1.Slice{}
	Coarsen(other, &telemetryv1.Slice{ChangedSettings: keys}, 8, nil)
	if slices.Equal(first, other.ChangedSettings) {
		t.Error("another draw keeps the same settings")
	}
}
