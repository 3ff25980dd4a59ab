package aggregator

import (
	"context"
	"math"
	"time"

	"github.com/slicemetry/slicemetry/aggregator/internal/gdp"
	"github.com/slicemetry/slicemetry/aggregator/internal/ledger"
	"github.com/slicemetry/slicemetry/aggregator/internal/publish"
)

// Account is what was spent on one period.
type Account struct {
	Week    string  `json:"period"`
	Mu2     float64 `json:"mu2"`
	Budget  float64 `json:"budget_mu2"`
	Epsilon float64 `json:"epsilon"` // of everything reserved
	Delta   float64 `json:"delta"`
	Entries []Entry `json:"entries"`
}

// Entry is one reservation.
type Entry struct {
	Metric     string  `json:"metric"`
	State      Result  `json:"state"` // Released, Withheld, Reserved or Incomplete
	Mu2        float64 `json:"mu2"`
	Sigma      float64 `json:"sigma"`
	Definition string  `json:"definition_hash"`
	Reserved   string  `json:"reserved"`
}

// Ledger returns the accounts of all periods in order.
func Ledger(ctx context.Context, conn Conn, c Config) ([]Account, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	reservations, err := ledger.New(conn, "", c.now).All(ctx)
	if err != nil {
		return nil, err
	}
	complete, err := publish.Releases(ctx, conn)
	if err != nil {
		return nil, err
	}
	states := map[string]Result{}
	for _, r := range complete {
		states[r.Week+" "+r.Metric] = Result(r.Status)
	}
	accounts := []Account{}
	byWeek := map[string][]ledger.Reservation{}
	for _, r := range reservations {
		week := r.Period.String()
		if byWeek[week] == nil {
			accounts = append(accounts, Account{Week: week, Delta: c.promise().Delta})
		}
		byWeek[week] = append(byWeek[week], r)
	}
	for i := range accounts {
		accounts[i].fill(byWeek[accounts[i].Week], states)
	}
	return accounts, nil
}

func (a *Account) fill(list []ledger.Reservation, states map[string]Result) {
	a.Mu2, a.Budget = ledger.Spent(list)
	a.Epsilon = gdp.Epsilon(math.Sqrt(a.Mu2), a.Delta)
	for _, r := range list {
		state, ok := states[a.Week+" "+r.Metric]
		switch {
		case ok:
		case r.DrawnBy == "" && r.Mu2 > 0:
			state = Reserved
		default:
			state = Incomplete
		}
		a.Entries = append(a.Entries, Entry{r.Metric, state, r.Mu2, r.Sigma, r.Definition, r.Reserved.Format(time.DateOnly)})
	}
}
