package migrations

import (
	"fmt"

	"github.com/slicemetry/slicemetry/schema/localdb"
)

// The users of the database. Each can do what its program needs and no more.
const (
	Migrator   = "migrator"   // changes the schema
	Collector  = "collector"  // writes raw rows, reads nothing
	Aggregator = "aggregator" // reads raw rows, publishes, drops what is due
	Analyst    = "analyst"    // reads what is published
)

// filters hide what users asked to have erased from whoever can read raw rows. A
// pseudonym is of one period, so a unit's number alone says who is meant.
var filters = []localdb.Filter{
	{Database: "raw", Table: "slices", Condition: notErased},
	{Database: "raw", Table: "counters", Condition: notErased},
}

const notErased = "unit NOT IN (SELECT unit FROM raw.erasures)"

// Users returns the users with their grants.
func Users() []localdb.User {
	return []localdb.User{
		{Name: Migrator, Grants: []string{
			"CREATE, ALTER, DROP, SHOW ON raw.*",
			"CREATE, ALTER, DROP, SHOW, SELECT, INSERT ON published.*",
			"CREATE, ALTER, DROP, SHOW ON ledger.*",
			"CREATE, SHOW, SELECT, INSERT ON admin.*",
			"TABLE ENGINE ON *",
		}},
		{Name: Collector, Grants: []string{
			"INSERT ON raw.*",
		}},
		{Name: Aggregator, Grants: []string{
			"SELECT, ALTER DELETE ON raw.*", // ALTER DELETE covers DROP PARTITION
			"SELECT, INSERT ON published.*",
			"SELECT, INSERT ON ledger.*",
		}, Filters: filters},
		{Name: Analyst, Grants: []string{
			"SELECT ON published.*",
		}},
	}
}

// RoleStatements returns the SQL by which the administrator of a ClickHouse that
// keeps its users itself creates a role for each of them, and hides from all what
// is erased.
func RoleStatements() []string {
	var list []string
	for _, u := range Users() {
		role := "slicemetry_" + u.Name
		list = append(list, "CREATE ROLE IF NOT EXISTS "+role)
		for _, grant := range u.Grants {
			list = append(list, fmt.Sprintf("GRANT %s TO %s", grant, role))
		}
	}
	for _, f := range filters {
		list = append(list, fmt.Sprintf("CREATE ROW POLICY IF NOT EXISTS slicemetry_erased ON %s.%s USING %s TO ALL", f.Database, f.Table, f.Condition))
	}
	return list
}
