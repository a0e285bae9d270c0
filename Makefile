# Everything a person or CI does with this repository. "make help" lists it.

SHELL     := /bin/bash
GO        ?= go
# Packages that build without cgo: whoever only consumes events never compiles LMDB.
NOCGO     := ./event/... ./schema/... ./aggregate/... ./wampbus/client/... ./examples/bank/account ./examples/course/...
# The formatter leaves the FlatBuffers compiler's own output as it is.
GOFILES    = find . -name '*.go' ! -name '*_generated.go' ! -path './.cache/*' ! -path '*/node_modules/*' ! -path '*/.venv/*'
FIRST     := The first build compiles LMDB from source: a minute without output is nothing unusual.
TIMEOUT   ?= 20m
# How long each run of "make bench" appends.
BENCH_SECONDS ?= 60
# How long each test runs in "make fuzz".
FUZZ_TIME ?= 20s
# Packages with tests that leave something out under the race detector.
NORACE     = $$(grep -rl --include='*_test.go' '^//go:build !race' . | xargs -n1 dirname | sort -u)

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the bank: 12,000 commands over the bus, every promise checked; ends by itself
	@echo '$(FIRST)' >&2
	@$(GO) run ./cmd/esdemo demo

.PHONY: build
build: ## build the programs into bin/
	@echo '$(FIRST)' >&2
	$(GO) build -o bin/ ./cmd/...

.PHONY: test
test: ## go vet, and all tests with the race detector
	@echo '$(FIRST) The race detector needs a build of its own.' >&2
	$(GO) vet ./...
	@echo 'Packages report as they finish, in alphabetical order; the slowest takes minutes on two cores.' >&2
	$(GO) test -race -timeout $(TIMEOUT) ./...
	@echo 'Now without the race detector what it distorts or slows: allocations, long searches.' >&2
	$(GO) test -run 'Alloc|Mutant|Bounded' $(NORACE)

.PHONY: short
short: ## all tests without the race detector, the long ones shortened
	$(GO) test -short ./...

.PHONY: race
race: ## all tests with the race detector, long ones shortened, caches ignored
	$(GO) test -race -short -count=1 -timeout $(TIMEOUT) ./...

.PHONY: bench
bench: ## measure against other encodings, stores, buses and frameworks (docs/BENCHMARKS.md); hours on an idle machine, less with BENCH_SECONDS=5
	$(GO) -C bench test -run '^$$' -bench . -benchmem -count 5 ./codec
	$(GO) -C bench test -run '^$$' -bench 'Command|Load|Visible|Lookup' -count 5 ./framework
	$(GO) -C bench test -run '^$$' -bench Rebuild -benchtime 1x -count 5 -timeout 1h ./framework
	$(GO) -C bench run ./store append -seconds $(BENCH_SECONDS) -runs 5
	$(GO) -C bench run ./store grow -streams 10000
	$(GO) -C bench run ./store grow -streams 1000000
	$(GO) -C bench run ./bus fanout
	$(GO) -C bench run ./bus replay
	$(GO) -C bench run ./bus replay -size 65536 -events 50000
	$(GO) -C bench run ./bus latency
	$(GO) -C bench run ./bus idle

.PHONY: soak
soak: ## ten minutes of clients of every behaviour against a server that is killed, too
	$(GO) test -count=1 -timeout 30m -run '^TestSoak$$' -v ./wampbus -soak=10m -soak-clients=300

.PHONY: crash
crash: ## the store's crash suite, long: lost writes, failing disks, killed processes
	$(GO) test -count=1 -timeout 20m -run '^(TestCrashSimulated|TestKilled|TestFlippedJournalIsNeverTrusted)$$' -v ./eventstore -crash-states=1500

.PHONY: flips
flips: ## flip every byte of a small store's log and index, and every bit of their separators; takes half an hour
	$(GO) test -count=1 -timeout 90m -run '^TestFlipped(Files|Separators)$$' -v ./eventstore -flip-step=1

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZ_TIME, one after the other
	@set -o pipefail; $(GO) test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' \
	| while read -r package name; do \
	echo "$$package $$name"; \
	$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 5s "$$package" </dev/null || exit 1; done

.PHONY: seeded-bugs
seeded-bugs: ## put known bugs into journal, store, aggregate and views, and fail unless their tests catch each
	tools/seededbugs.sh

.PHONY: lint
lint: bin/staticcheck ## go vet and staticcheck
	$(GO) vet ./...
	bin/staticcheck ./...
	$(GO) -C tools vet ./...
	$(GO) -C bench vet ./...

bin/staticcheck: tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../bin/staticcheck honnef.co/go/tools/cmd/staticcheck

.PHONY: fmt
fmt: ## format all Go that is not the FlatBuffers compiler's
	$(GOFILES) -exec gofmt -w {} +

.PHONY: fmt-check
fmt-check: ## fail if anything is not formatted
	@unformatted=$$($(GOFILES) -exec gofmt -l {} +); \
	if [ -n "$$unformatted" ]; then printf 'not formatted, run "make fmt":\n%s\n' "$$unformatted" >&2; exit 1; fi

.PHONY: generate
generate: ## regenerate all Go from the schemas (needs a C++ compiler)
	@echo 'The first time, this compiles the FlatBuffers compiler: a minute or so.' >&2
	$(GO) generate ./...
	$(GO) -C bench generate ./...

.PHONY: check-generate
check-generate: ## fail if "make generate" changes anything
	@before=$$(git status --porcelain && git diff); \
	$(MAKE) --no-print-directory generate || exit 1; \
	after=$$(git status --porcelain && git diff); \
	if [ "$$before" != "$$after" ]; then git status --short; git --no-pager diff --stat; \
	echo 'generated code is stale: commit what "make generate" wrote' >&2; exit 1; fi

.PHONY: floors
floors: ## who may import whom
	$(GO) test -count=1 ./internal/floors

.PHONY: nocgo
nocgo: ## build without cgo what must build without it
	CGO_ENABLED=0 $(GO) build $(NOCGO)

.PHONY: license-check
license-check: ## compare THIRD_PARTY.md with what is really imported
	$(GO) -C tools test ./licenses
	$(GO) -C tools run ./licenses

.PHONY: licenses
licenses: ## gather all licence texts in dist/licenses, for a release
	@mkdir -p dist
	$(GO) -C tools run ./licenses -gather ../dist/licenses
	cp LICENSE dist/licenses/LICENSE

.PHONY: interop-deps
interop-deps: interop/node_modules/.installed interop/.venv/.installed ## install the clients of other languages (Node.js, Python 3)

# Not "npm ci", which wants optional packages of every platform in the lock file.
# Versions and checksums are the lock file's all the same, and it stays as it is.
interop/node_modules/.installed: interop/package.json interop/package-lock.json
	cd interop && npm install --no-save --omit=optional --ignore-scripts
	@touch $@

interop/.venv/.installed: interop/requirements.txt
	python3 -m venv interop/.venv
	interop/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r interop/requirements.txt
	@touch $@

.PHONY: interop-crossbar
interop-crossbar: ## install the router Crossbar (Python 3.11 or newer); compiles for minutes
	python3 -m venv interop/.crossbar
	interop/.crossbar/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary crossbar==26.10.1

.PHONY: interop-browser
interop-browser: ## install Chromium for the browser example (Debian, as root)
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium

.PHONY: interop
interop: ## install and run clients of other languages against the bus; says what it skips
	@$(MAKE) --no-print-directory interop-deps || echo 'Not all could be installed: what needs the rest is skipped.' >&2
	@set -o pipefail; $(GO) test -race -count=1 -v ./interop | { grep -v '^ *=== ' || true; }

.PHONY: ci
ci: ## everything CI checks
	.ci/run

.PHONY: clean
clean: ## remove what the targets above put into this directory
	rm -rf bin dist interop/node_modules interop/.venv interop/.crossbar
