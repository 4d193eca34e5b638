# Every target does its own set-up. All it takes is Python 3.11 or newer, make and the network.
#
#   make demo    the whole product, on embedded defaults      make demo ARGS="--exit --json"
#   make test    what must pass before a change goes in       make test ARGS="tests/unit -k rate"

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
# Tests wait more than they compute (for processes, due dates, the database): four at a time keep two cores busy.
PYTEST := $(BIN)/pytest -n 4 --dist worksteal
# The machine's uv if it works, else one of our own.
UV := $(shell if uv --version >/dev/null 2>&1; then command -v uv; else echo .uv/bin/uv; fi)
SUDO := $(shell if [ "$$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then echo sudo; fi)

.PHONY: help setup demo test test-all lint fix docs bench lock browser-deps mail-deps changelog clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## Install the locked environment into .venv.

$(READY): requirements.lock pyproject.toml | $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --python '>=3.11' .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Millstream needs Python 3.11 or newer: make PYTHON=…")'
	$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv \
	|| { rm -rf .uv; $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv uv; } \
	|| { echo 'uv could not be installed: install python3-venv or python3-pip, or uv itself.' >&2; exit 1; }

demo: $(READY)  ## Run the whole product on embedded defaults.
	@$(BIN)/millstream demo $(ARGS)

test: lint  ## Lint, check types and layers, and run the tests but the slow ones.
	$(PYTEST) -m "not slow" $(ARGS)

test-all: lint  ## Run every test.
	$(PYTEST) $(ARGS)

lint: $(READY)  ## Check style, types and who imports whom.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## Mend what a machine can mend.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(READY)  ## Write the generated pages of docs/reference.
	$(BIN)/python docs/generate.py

bench: $(READY)  ## Measure; prints JSON lines.
	@$(BIN)/python bench $(ARGS)

lock: | $(UV)  ## Lock what pyproject.toml asks for; newest versions with ARGS=--upgrade.
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	    --group dev pyproject.toml -o requirements.lock $(ARGS)

browser-deps:  ## Install what the browser tests and the pictures of pages need (Debian and Ubuntu).
	@if command -v chromium >/dev/null && command -v pdftoppm >/dev/null; then exit 0; fi; \
	$(SUDO) apt-get update -qq; \
	$(SUDO) apt-get install -y -qq --no-install-recommends chromium poppler-utils

# Nothing is started: what a policy-rc.d of 101 says to invoke-rc.d. Tests run an instance of their own, in their folder.
mail-deps:  ## Install the SMTP client and the SMTP server of the contract tests (Debian and Ubuntu).
	@if command -v swaks >/dev/null && test -x /usr/sbin/postfix; then exit 0; fi; \
	$(SUDO) apt-get update -qq; \
	made=; if ! test -e /usr/sbin/policy-rc.d; then \
	    printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee /usr/sbin/policy-rc.d >/dev/null; \
	    $(SUDO) chmod +x /usr/sbin/policy-rc.d; made=yes; fi; \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    swaks libnet-ssleay-perl libnet-dns-perl postfix; status=$$?; \
	if test -n "$$made"; then $(SUDO) rm -f /usr/sbin/policy-rc.d; fi; exit $$status

changelog: $(READY)  ## Gather the fragments of changelog.d into CHANGELOG.md: ARGS="--version 0.2.0".
	$(BIN)/towncrier build --yes $(ARGS)

clean:  ## Remove what these targets have made.
	rm -rf .venv .uv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
