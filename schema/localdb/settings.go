package localdb

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/slicemetry/slicemetry/internal/port"
)

// holder is the user that the engine's own first query runs as. It has no
// password because the engine's local mode knows none; what it may do is start
// and stop listening and read its standard input.
const holder = "default"

// identity is what a directory keeps from one start to the next.
type identity struct {
	TCPPort   int               `json:"tcp_port"`
	HTTPPort  int               `json:"http_port"`
	Passwords map[string]string `json:"passwords"`
}

const identityFile = "identity.json"

// loadIdentity reads the directory's ports and passwords, makes what is missing
// and writes it back.
func loadIdentity(cfg Config) (identity, error) {
	path := filepath.Join(cfg.Dir, identityFile)
	id := identity{Passwords: map[string]string{}}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return id, err
	default:
		if err := json.Unmarshal(data, &id); err != nil {
			return id, fmt.Errorf("%s: %w", path, err)
		}
	}
	if id.TCPPort, err = choosePort(cfg.TCPPort, id.TCPPort); err != nil {
		return id, err
	}
	if id.HTTPPort, err = choosePort(cfg.HTTPPort, id.HTTPPort); err != nil {
		return id, err
	}
	for _, u := range append([]User{{Name: Administrator}}, cfg.Users...) {
		if id.Passwords[u.Name] == "" {
			id.Passwords[u.Name] = rand.Text()
		}
	}
	data, err = json.MarshalIndent(id, "", "  ")
	if err != nil {
		return id, err
	}
	return id, replaceFile(path, data)
}

// choosePort prefers the port asked for, then the remembered one, then any.
func choosePort(wanted, remembered int) (int, error) {
	wanted = cmp.Or(wanted, remembered)
	if wanted == 0 {
		return port.Free()
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", wanted))
	if err != nil {
		return 0, fmt.Errorf("%w: %d: %w", ErrPortTaken, wanted, err)
	}
	return wanted, l.Close()
}

// replaceFile writes a private file as a whole or not at all, also when the power
// fails: without the sync a rename can reach the disk before what it names, and an
// empty identity locks its owner out of the data.
func replaceFile(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// The log says what failed and never the text of a query's values: inserts are
// native blocks. No table of the system keeps queries, traces or parts.
var serverTemplate = template.Must(template.New("config.xml").Parse(`<clickhouse>
  <logger><log>{{.Dir}}/engine.log</log><size>10M</size><count>1</count></logger>
  <users_config>{{.Dir}}/users.xml</users_config>
  <max_server_memory_usage>{{.MaxMemoryBytes}}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <max_connections>512</max_connections>
</clickhouse>
`))

var usersTemplate = template.Must(template.New("users.xml").Parse(`<clickhouse>
  <profiles>
    <default>
      <async_insert>0</async_insert>
      <log_queries>0</log_queries>
    </default>
    <holder><max_concurrent_queries_for_user>1</max_concurrent_queries_for_user></holder>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <no_password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>holder</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT READ ON FILE</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
      </grants>
    </default>
{{- range .}}
    <{{.Name}}>
      <password_sha256_hex>{{.Hash}}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
{{- if .Filters}}
      <databases>{{range .Filters}}
        <{{.Database}}><{{.Table}}><filter>{{.Condition}}</filter></{{.Table}}></{{.Database}}>{{end}}
      </databases>
{{- end}}
{{- if .Grants}}
      <grants>{{range .Grants}}
        <query>GRANT {{.}}</query>{{end}}
      </grants>
{{- end}}
    </{{.Name}}>
{{- end}}
  </users>
</clickhouse>
`))

// userEntry is one user as the template needs it.
type userEntry struct {
	Name, Hash string
	Grants     []string
	Filters    []Filter
}

// writeSettings writes the server's and the users' configuration.
func writeSettings(cfg Config, id identity) error {
	var users []userEntry
	for _, u := range append([]User{{Name: Administrator, Grants: []string{"ALL ON *.* WITH GRANT OPTION"}}}, cfg.Users...) {
		grants := u.Grants
		if len(grants) == 0 {
			grants = []string{"USAGE ON *.*"} // an empty list would mean everything
		}
		hash := sha256.Sum256([]byte(id.Passwords[u.Name]))
		users = append(users, userEntry{Name: u.Name, Hash: hex.EncodeToString(hash[:]), Grants: grants, Filters: u.Filters})
	}
	for name, part := range map[string]struct {
		template *template.Template
		data     any
	}{
		"config.xml": {serverTemplate, cfg},
		"users.xml":  {usersTemplate, users},
	} {
		var text strings.Builder
		if err := part.template.Execute(&text, part.data); err != nil {
			return err
		}
		if err := replaceFile(filepath.Join(cfg.Dir, name), []byte(text.String())); err != nil {
			return err
		}
	}
	return nil
}
