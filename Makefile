# Two commands do everything: `make demo` and `make test`. The rest are parts of
# them. Needed beforehand: Go 1.26, gcc, Node with npm, make.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo up test engine tools build generate check-generated check-format vet lint unit size race fuzz fault audit bench-floor bench-load bench-clients bench-beam bench-peer clean

TOOL := go tool -modfile=.tools/go.mod
BUF := .tools/node_modules/.bin/buf
ENGINE := schema/localdb/engine/node_modules/.package-lock.json
FUZZTIME ?= 5s

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: engine build ## a simulated fleet, end to end: events, crashes, published tables, a page
	bin/demo run -dir demo

up: engine build ## leave the same stack running: ClickHouse, collector, published page
	bin/demo up -dir demo

test: engine tools check-generated check-format vet lint unit size race fuzz ## everything that must pass
	@echo "make test: all passed"

engine: $(ENGINE) ## install the embedded ClickHouse
$(ENGINE): schema/localdb/engine/package-lock.json
	cd schema/localdb/engine && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

tools: $(BUF) ## install the build-time tools
$(BUF): .tools/package-lock.json
	cd .tools && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

build: ## build every command into bin/
	@mkdir -p bin
	go build -o bin/ ./schema/cmd/... ./collector/cmd/... ./aggregator/cmd/... ./bench/cmd/...
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/ ./client/cmd/...

generate: tools ## write the generated code again
	cd proto && PATH="$$PWD/../.tools/node_modules/.bin:$$PATH" buf generate
	cd schema/rules && go generate .
	go run ./schema/cmd/schema doc > docs/data.md

check-generated: tools ## the generated code is what its sources say
	.ci/check-generated
	$(BUF) lint proto

check-format:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	GOOS=windows go vet ./client/... ./internal/...
	GOOS=darwin go vet ./client/... ./internal/...

lint:
	$(TOOL) staticcheck ./...

unit: engine ## unit, integration and end-to-end tests, with a real ClickHouse
	go test -timeout 12m ./...

RACE := ./client/... ./collector/... ./internal/...
race: engine ## the concurrent packages under the race detector
	go test -race -short -timeout 12m $(RACE)

fuzz: engine ## each fuzz target for a moment (FUZZTIME=5s)
	.ci/fuzz $(FUZZTIME)

bench-floor: engine build ## the collector beside the least that one can be, on the same events
	bin/floor $(FLOORFLAGS)

bench-load: engine build ## the collector under load: events/s, latency, CPU, memory (LOADFLAGS=...)
	bin/loadgen $(LOADFLAGS)

size: ## what the client adds to a host: octets of each dependency, and on the wire
	go test ./bench/host -v -count=1 -run 'Size'

CYCLES ?= 1000
fault: engine ## kill, pause, cut and fill everything, CYCLES times (1000)
	SLICEMETRY_FAULT_CYCLES=$(CYCLES) go test -count=1 -v -timeout 6h ./bench/fault

audit: ## the long audit of the release: black box, mutants, a million neighbours
	go test ./aggregator/internal/audit -audit.full -v -count=1 -timeout 60m

bench-beam: engine ## one count over a million rows, beside Privacy on Beam (builds it: 5 min)
	cd bench/peer/beam && go vet . && go run . -rows 1000000
	AGGREGATOR_BENCH_ROWS=1000000 go test ./aggregator -run '^$$' -bench 'Count$$' -benchtime 3x

bench-clients: ## the client beside the libraries that a slicer could embed instead
	cd bench/peer/client && go vet ./... && go test -v -count=1 -timeout 20m .

bench-peer: engine build ## the collector beside an OpenTelemetry Collector, on the same events (builds it: 2 min)
	cd bench/peer/otelcol && go vet ./... && go test ./... && go build -o ../../../bin/ ./cmd/...
	bin/peer -json bin/peer.json $(PEERFLAGS)

clean: ## remove what was built and the demo's data
	rm -rf bin demo
