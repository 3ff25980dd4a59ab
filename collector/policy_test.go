package collector_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// policies is a policy file with version 1 in force from a day on, and version 2
// from another; "" announces nothing.
func policies(t testing.TB, effective, next string) collector.Policies {
	t.Helper()
	text := `{"operator": "Example Printing", "privacy_contact": "privacy@example.org", "complaints": "https://example.org/complaints", "answer_days": 45,
		"current": {"version": 1, "effective": "` + effective + `", "url": "https://example.org/privacy/1"}`
	if next != "" {
		text += `, "next": {"version": 2, "published": "2026-01-01", "effective": "` + next + `", "url": "https://example.org/privacy/2", "summary": "More."}`
	}
	p, err := collector.ParsePolicies([]byte(text + "}"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "at octet 0",
		`{"privacy_contacts": ""}`:      "privacy_contacts",
		`{"current": {"effective": 5}}`: `"2026-11-23"`,
	} {
		if _, err := collector.ParsePolicies([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error that says %s", text, err, want)
		}
	}
	p := policies(t, "2026-01-01", "2026-01-30") // 29 days after it was published
	p.PrivacyContact, p.AnswerDays, p.Next.Version = "", 46, 3
	cfg := collector.DefaultConfig()
	cfg.Policy = p
	err := cfg.Validate()
	for _, want := range []string{"privacy_contact:", "answer_days: 46", "next.version: 3", "next.effective:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

// A change is announced with every reply; from its day on only those who agreed
// to it are served, but what was recorded before may still come.
func TestPolicyChanges(t *testing.T) {
	today := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) // a Monday
	yesterday := today.AddDate(0, 0, -1)
	var passed atomic.Int64 // since then, by the collector's clock
	p := policies(t, "2026-01-01", "2026-03-02")
	r := start(t, func(cfg *collector.Config) {
		cfg.Policy, cfg.Now, cfg.PauseClients = p, func() time.Time { return yesterday.Add(time.Duration(passed.Load())) }, 2*time.Hour
	})
	client := r.client(t)
	upload := func(policy uint32, week period.Period) (*collectorv1.UploadResponse, error) {
		q := request(1)
		q.Batch.PolicyVersion, q.Batch.Period = policy, uint32(week)
		return client.Upload(t.Context(), q)
	}
	before, after := period.Of(yesterday), period.Of(today)
	reply, err := upload(1, before)
	if err != nil || reply.PolicyVersion != 1 || reply.Next.GetVersion() != 2 || reply.PauseSeconds != 7200 {
		t.Fatalf("the day before: %v, %v", reply, err)
	}
	if day := time.Unix(int64(reply.Next.Effective)*86400, 0).UTC(); day.Format(time.DateOnly) != "2026-03-02" {
		t.Errorf("announced for %s", day)
	}
	said, err := client.GetPolicy(t.Context(), &collectorv1.GetPolicyRequest{})
	if err != nil || said.Current.GetVersion() != 1 || said.Next.GetSummary() != "More." || said.Operator != "Example Printing" || said.PrivacyContact == "" || said.AnswerDays != 45 {
		t.Errorf("GetPolicy() = %v, %v", said, err)
	}
	if _, err := upload(2, before); err != nil {
		t.Errorf("who agreed to the announced policy before its day: %v", err)
	}
	passed.Store(int64(24 * time.Hour))
	for _, tt := range []struct {
		policy uint32
		week   period.Period
		want   codes.Code
	}{
		{1, before, codes.OK}, {2, before, codes.OK}, {2, after, codes.OK},
		{1, after, codes.FailedPrecondition}, {3, after, codes.FailedPrecondition}, {0, after, codes.FailedPrecondition},
	} {
		t.Run(fmt.Sprint(tt.policy, " ", tt.week), func(t *testing.T) {
			reply, err := upload(tt.policy, tt.week)
			if status.Code(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if err == nil && (reply.PolicyVersion != 2 || reply.Next != nil) {
				t.Errorf("reply %v, want version 2 in force and nothing announced", reply)
			}
		})
	}
	r.balanced(t)
}
