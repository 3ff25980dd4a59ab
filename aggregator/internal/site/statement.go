package site

import (
	"strconv"
	"strings"

	"github.com/slicemetry/slicemetry/aggregator/internal/plan"
	"github.com/slicemetry/slicemetry/internal/period"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// privacy is the public statement, made of the plan and the fields' rules.
type privacy struct {
	frame
	Plan       plan.Outlook
	Days       int // that raw rows are kept at most
	Collected  table
	Guarantees table
	Budget     table
}

func newPrivacy(c Content) *privacy {
	page := &privacy{
		frame:      newFrame("privacy.html", "Privacy", "What is collected, what is stored and until when, what is promised about what is published, and what is not"),
		Plan:       c.Plan,
		Days:       int(period.Retention.Hours() / 24),
		Collected:  table{Caption: "What is collected, by kind", Columns: []column{{"Kind", false}, {"Fields", true}, {"Which", false}, {"Kept", false}}},
		Guarantees: table{Caption: "The exact guarantee", Columns: []column{{"Active in", false}, {"ε", true}, {"δ", true}}},
		Budget:     table{Caption: "How the budget of a week is split", Columns: []column{{"Metric", false}, {"share", true}, {"ε alone", true}, {"σ of the noise", true}, {"unit", false}}},
	}
	page.Collected.Rows = kinds()
	for _, g := range c.Plan.Guarantees {
		weeks := strconv.Itoa(g.Weeks) + " weeks"
		if g.Weeks == 1 {
			weeks = "1 week"
		}
		page.Guarantees.add(weeks, strconv.FormatFloat(g.Epsilon, 'f', 2, 64), delta(g.Delta))
	}
	for _, m := range c.Plan.Metrics {
		page.Budget.Rows = append(page.Budget.Rows, tableRow{Link: "metric/" + m.Name + ".html", Cells: []string{
			m.Title, percent(m.Share), strconv.FormatFloat(m.Epsilon, 'f', 3, 64), strconv.FormatFloat(m.Sigma, 'f', 1, 64), m.Unit}})
	}
	return page
}

// kinds lists the fields by kind of data and how long they are kept.
func kinds() []tableRow {
	var list []tableRow
	at := map[string]int{}
	names := map[string][]string{}
	for _, f := range rules.Fields() {
		kind := f.Category() + "|" + f.Retention()
		if _, ok := at[kind]; !ok {
			at[kind] = len(list)
			list = append(list, tableRow{Link: "dictionary.html", Cells: []string{f.Category(), "", "", f.Retention()}})
		}
		names[kind] = append(names[kind], words(f.Path))
	}
	for kind, i := range at {
		list[i].Cells[1] = strconv.Itoa(len(names[kind]))
		list[i].Cells[2] = strings.Join(names[kind], ", ")
	}
	return list
}

// dictionary is every field with its rule.
type dictionary struct {
	frame
	Fields []rules.Field
}

func newDictionary() *dictionary {
	return &dictionary{newFrame("dictionary.html", "What may be collected", "Every field, what becomes of it on the device, and which statistics need it"), rules.Fields()}
}
