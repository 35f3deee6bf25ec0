# Holdfast's own commands. `make` alone lists them.
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# Where the generated code is gone, it is made again.
CONTRACTS := $(shell find protos -name '*.proto' 2>/dev/null) $(if $(wildcard build/protos/holdfast),,ungenerated)
ARGS ?=

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One step each: a folder that an interrupted install left behind is finished, not trusted.
$(BIN)/uv: deploy/lock/uv.txt
	@test -n "$(PYTHON)" || { echo "holdfast needs Python 3.11 or newer (python3 not found, or older)" >&2; exit 1; }
	@echo "[1/3] making the environment in $(VENV)" >&2
	@$(PYTHON) -m venv --clear $(VENV) >$(VENV).log 2>&1 || { cat $(VENV).log >&2; rm -rf $(VENV) $(VENV).log; \
	  echo "holdfast needs Python's venv: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@rm -f $(VENV).log
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/lock/uv.txt
	@touch $@

define install
	@echo "[2/3] installing from deploy/lock/$(1).txt, hashes checked" >&2
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r deploy/lock/$(1).txt
	@echo "[3/3] generating the contracts and installing holdfast" >&2
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q services shared build/protos
	@touch $@
endef

$(VENV)/.run: $(BIN)/uv deploy/lock/run.txt pyproject.toml hatch_build.py $(CONTRACTS)
	$(call install,run)

$(VENV)/.dev: $(BIN)/uv deploy/lock/dev.txt pyproject.toml hatch_build.py $(CONTRACTS)
	$(call install,dev)
	@touch $(VENV)/.run

.PHONY: ungenerated

.PHONY: run
run: $(VENV)/.run ## Start the whole system here; Ctrl-C stops it
	@exec $(BIN)/python -m services $(ARGS)

.PHONY: install
install: $(VENV)/.dev ## Make the development environment

.PHONY: protos
protos: $(VENV)/.dev ## Generate Python from protos/ after an edit
	@$(BIN)/python hatch_build.py

.PHONY: test
test: $(VENV)/.dev ## Run the whole suite on real PostgreSQL and Valkey
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## Measure this machine against the promises
	@exec $(BIN)/python -m tests.load $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev ## Prove the promises of correctness at their full figures
	@exec $(BIN)/python -m tests.faults $(ARGS)

.PHONY: check
check: $(VENV)/.dev ## Check format, lint, types, boundaries and contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code

.PHONY: format
format: $(VENV)/.dev ## Format code and contracts
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .
	@cd protos && ../$(BIN)/buf format -w

.PHONY: lock
lock: $(VENV)/.dev ## Renew the hashed locks in deploy/lock
	@for l in dev run; do \
	  extras="--extra $$([ $$l = dev ] && echo dev || echo 'embedded --extra build')"; \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header pyproject.toml $$extras -o deploy/lock/$$l.txt || exit 1; done
	@echo uv | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header - -o deploy/lock/uv.txt

.PHONY: clean
clean: ## Remove environment, generated code and caches (data stays)
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
