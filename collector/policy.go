package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/slicemetry/slicemetry/internal/operator"
	"github.com/slicemetry/slicemetry/internal/period"
	collectorv1 "github.com/slicemetry/slicemetry/proto/collector/v1"
)

// notice is how long before it takes effect a change is announced.
const notice = 30 * 24 * time.Hour

// Policies says which privacy policy users agreed to, which one will follow, and
// who answers for it. It is the content of the file that -policy names.
type Policies struct {
	operator.Operator         // who answers for the data; the site names the same
	Current           Policy  `json:"current"`
	Next              *Policy `json:"next,omitempty"` // announced; takes over by itself on its day
}

// Policy is one version of the privacy policy.
type Policy struct {
	Version   uint32 `json:"version"`
	Published Day    `json:"published"`
	Effective Day    `json:"effective"` // first day in force
	URL       string `json:"url"`
	Summary   string `json:"summary"` // what changed, in a few sentences
}

// Day is a day in UTC, in JSON "2026-11-23".
type Day struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Day) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(`"`+time.DateOnly+`"`, string(b))
	if err != nil {
		return fmt.Errorf("%s is not a day such as \"2026-11-23\"", b)
	}
	d.Time = t
	return nil
}

// number is the day as it travels.
func (d Day) number() uint32 { return uint32(max(d.Unix(), 0) / int64((24 * time.Hour).Seconds())) }

// ParsePolicies reads a policy file. Whether it is complete Config.Validate says.
func ParsePolicies(data []byte) (Policies, error) {
	var p Policies
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return Policies{}, fmt.Errorf("at octet %d: %w", decoder.InputOffset(), err)
	}
	return p, nil
}

func (p *Policies) validate() error {
	if *p == (Policies{}) {
		return errors.New("policy: none given; users must know what they agree to, and who answers for it")
	}
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf("policy: "+format, args...))
		}
	}
	check(p.Current.Version >= 1, "current.version: must be at least 1")
	check(p.Current.URL != "", "current.url: none given")
	check(!p.Current.Effective.IsZero(), "current.effective: none given")
	if next := p.Next; next != nil {
		check(next.Version == p.Current.Version+1, "next.version: %d does not follow %d", next.Version, p.Current.Version)
		check(next.URL != "" && next.Summary != "", "next: a url and a summary of what changes are needed")
		check(!next.Published.IsZero() && !next.Effective.Before(next.Published.Add(notice)),
			"next.effective: users must be told at least 30 days before: published %s, effective %s",
			next.Published.Format(time.DateOnly), next.Effective.Format(time.DateOnly))
	}
	return errors.Join(append(problems, p.Reachable())...)
}

// at returns the policy in force at a time, and the one announced by then.
func (p *Policies) at(now time.Time) (current Policy, next *Policy) {
	switch {
	case p.Next == nil || now.Before(p.Next.Published.Time):
		return p.Current, nil
	case now.Before(p.Next.Effective.Time):
		return p.Current, p.Next
	}
	return *p.Next, nil
}

// covers reports whether consent to a version allows a week's data: the version
// was announced, and not replaced before the week began.
func (p *Policies) covers(version uint32, week period.Period, now time.Time) bool {
	current, next := p.at(now)
	newest := current.Version
	if next != nil {
		newest = next.Version
	}
	if version < 1 || version > newest {
		return false
	}
	return version >= current.Version || week.Start().Before(current.Effective.Time)
}

// reply is what every stored batch is answered with.
func (s *Server) reply() *collectorv1.UploadResponse {
	current, next := s.cfg.Policy.at(s.cfg.Now())
	reply := &collectorv1.UploadResponse{PolicyVersion: current.Version, PauseSeconds: uint32(s.cfg.PauseClients / time.Second)}
	if next != nil {
		reply.Next = &collectorv1.PolicyNotice{Version: next.Version, Effective: next.Effective.number()}
	}
	return reply
}

// GetPolicy implements collectorgrpc.CollectorServer.
func (s *Server) GetPolicy(ctx context.Context, _ *collectorv1.GetPolicyRequest) (*collectorv1.GetPolicyResponse, error) {
	_ = grpc.SetSendCompressor(ctx, "identity")
	current, next := s.cfg.Policy.at(s.cfg.Now())
	reply := &collectorv1.GetPolicyResponse{
		Current:        current.message(),
		Operator:       s.cfg.Policy.Operator.Name,
		PrivacyContact: s.cfg.Policy.PrivacyContact, Complaints: s.cfg.Policy.Complaints, AnswerDays: s.cfg.Policy.AnswerDays,
	}
	if next != nil {
		reply.Next = next.message()
	}
	return reply, nil
}

func (p *Policy) message() *collectorv1.Policy {
	return &collectorv1.Policy{Version: p.Version, Published: p.Published.number(), Effective: p.Effective.number(), Url: p.URL, Summary: p.Summary}
}
