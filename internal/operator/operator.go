// Package operator says who answers for the data.
//
// It is one file: the one that says which privacy policy is in force. Collectors tell
// clients from it whom to ask, and the published pages name the same to everybody
// else, so that the two cannot differ.
//
//	{"operator": "Example Printing Ltd., 1 Example Street, Example",
//	 "privacy_contact": "privacy@example.org",
//	 "complaints": "https://example.org/complaints", "answer_days": 45,
//	 "current": ...}
package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxAnswerDays: complaints are answered within so many days.
const maxAnswerDays = 45

// Operator is who runs a collector and publishes what arrives, in words for the
// people whom the data is about.
type Operator struct {
	Name           string `json:"operator"`        // whose it is: a company, an association, a person
	PrivacyContact string `json:"privacy_contact"` // whom to ask about data
	Complaints     string `json:"complaints"`      // how to complain
	AnswerDays     uint32 `json:"answer_days"`     // within how long there is an answer
}

// Parse reads the operator from a policy file and reports everything that is
// missing. What else the file says is for the collector to judge.
func Parse(data []byte) (Operator, error) {
	var o Operator
	if err := json.Unmarshal(data, &o); err != nil {
		return Operator{}, fmt.Errorf("policy: %w", err)
	}
	return o, o.Validate()
}

// Validate reports what is missing before the operator can be named to everybody.
func (o Operator) Validate() error {
	var problem error
	if empty(o.Name) {
		problem = errors.New("policy: operator: none given; people must be told whose statistics these are")
	}
	return errors.Join(problem, o.Reachable())
}

// Reachable reports what is missing before people can ask and complain.
func (o Operator) Reachable() error {
	var problems []error
	if empty(o.PrivacyContact) {
		problems = append(problems, errors.New("policy: privacy_contact: none given; users must be able to reach who answers for their data"))
	}
	if empty(o.Complaints) {
		problems = append(problems, errors.New("policy: complaints: none given; users must be told how to complain"))
	}
	if o.AnswerDays < 1 || o.AnswerDays > maxAnswerDays {
		problems = append(problems, fmt.Errorf("policy: answer_days: %d is not between 1 and %d", o.AnswerDays, maxAnswerDays))
	}
	return errors.Join(problems...)
}

func empty(text string) bool { return strings.TrimSpace(text) == "" }
