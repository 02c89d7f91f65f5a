# `make help` lists what there is. Nothing here is needed to run or to test: `go run ./cmd/api` and `go test ./...` do.

GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
CYCLONEDX_VERSION := v1.10.0

GO ?= go
PKG ?= ./...
BENCH ?= .
BENCHTIME ?= 1s
# Leaves out what the Firebase SDK brings for Google storage over gRPC, which nothing here uses: 12 MB of program.
TAGS := disable_grpc_modules
LINTER := bin/golangci-lint-$(GOLANGCI_VERSION)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve on 127.0.0.1:8080, with the demonstration data if the store is empty
	$(GO) run ./cmd/api

.PHONY: build
build: ## Build the static binary bin/api
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) -ldflags=-s -o bin/api ./cmd/api

.PHONY: test
test: ## Run the tests; PKG=./push/... for some
	$(GO) test $(PKG)

.PHONY: race
race: ## Run the tests with the race detector (needs a C compiler), without what is long and has one goroutine
	CGO_ENABLED=1 $(GO) test -race -short $(PKG)

.PHONY: ferretdb
ferretdb: ## Run the store's sequential tests through the MongoDB engine against FerretDB
	cd internal/store/mongo/ferretdb && $(GO) test ./...

.PHONY: lint
lint: $(LINTER) ## Check style and import arrows (.golangci.yml)
	$(LINTER) run $(PKG)
	cd internal/store/mongo/ferretdb && $(CURDIR)/$(LINTER) run ./...

# Built once from the module proxy, outside go.mod: the linter's hundreds of modules are none of the program's.
$(LINTER):
	mkdir -p bin/install
	GOBIN=$(CURDIR)/bin/install $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv bin/install/golangci-lint $@
	rmdir bin/install

.PHONY: gen
gen: ## Generate code
	$(GO) generate ./...

.PHONY: verify
verify: gen ## Fail if generated code is stale: generates, then wants a clean work tree
	git diff --exit-code
	@new=$$(git ls-files --others --exclude-standard); test -z "$$new" || { echo "not in git: $$new"; exit 1; }

.PHONY: bench
bench: ## Run the benchmarks; BENCH=Scan PKG=./internal/... for some
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem $(PKG)

.PHONY: vuln
vuln: ## Look for known vulnerabilities (asks a database on the Internet)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

.PHONY: fuzz
fuzz: ## Run every Go fuzz target for FUZZTIME (10s); FUZZPKG="internal/gs1 …" for those of some packages
	.ci/gofuzz $(FUZZPKG)

FUZZ_VENV := bin/fuzz/venv
EXAMPLES ?= 3

.PHONY: fuzz-api
fuzz-api: build $(FUZZ_VENV) ## Hold a running server to its contract with schemathesis (needs Python; 10,000 requests or more); KINDS=seller,… for some clients
	$(FUZZ_VENV)/bin/python .ci/fuzz/fuzz.py --examples $(EXAMPLES) --kinds '$(KINDS)'

$(FUZZ_VENV): .ci/fuzz/requirements.txt
	python3 -m venv $@
	$@/bin/pip install -q --require-hashes -r $<
	touch $@

.PHONY: reproducible
reproducible: ## Build twice, in two directories, and want the same bytes
	rm -rf bin/again && mkdir -p bin/again/src
	git archive HEAD | tar -x -C bin/again/src
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags=-s -o bin/again/one ./cmd/api
	cd bin/again/src && CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags=-s -o ../two ./cmd/api
	cmp bin/again/one bin/again/two
	rm -rf bin/again

.PHONY: sbom
sbom: ## Write the bill of materials of the program, bin/sbom.json (CycloneDX)
	mkdir -p bin
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION) app -licenses -json -main cmd/api -output bin/sbom.json .

.PHONY: licences
licences: sbom ## Fail for a module whose licence is not in the list of .ci/licences
	.ci/licences
