package operator

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const complete = `{"operator": "Example Printing", "privacy_contact": "privacy@example.org", "complaints": "by letter", "answer_days": 30, "current": {"version": 1}}`
	want := Operator{"Example Printing", "privacy@example.org", "by letter", 30}
	if got, err := Parse([]byte(complete)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	tests := map[string][]string{
		``:   {"policy:"},
		`{}`: {"operator: none", "privacy_contact: none", "complaints: none", "answer_days: 0"},
		`{"operator": "  ", "privacy_contact": "\t", "complaints": "\n", "answer_days": 46}`: {"operator: none", "privacy_contact: none", "complaints: none", "answer_days: 46"},
		strings.Replace(complete, "Example Printing", "", 1):                                 {"operator: none"},
		strings.Replace(complete, "privacy@example.org", "", 1):                              {"privacy_contact: none"},
		strings.Replace(complete, `"answer_days": 30`, `"answer_days": "soon"`, 1):           {"policy:"},
	}
	for text, wants := range tests {
		_, err := Parse([]byte(text))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		}
	}
	// A collector needs no name: clients are told whom to reach.
	if err := (Operator{PrivacyContact: "a", Complaints: "b", AnswerDays: 1}).Reachable(); err != nil {
		t.Error(err)
	}
}
