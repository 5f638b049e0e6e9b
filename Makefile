# Two commands do everything on a fresh machine: `make appraise` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BASE ?= ketamine_depression
OUT ?= out
LANG_ ?= en
BIN := .venv/bin

.PHONY: help appraise test lint types imports tests browser pins clean
.DEFAULT_GOAL := help

help: ## say what each command does
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: BASE=$(BASE) OUT=$(OUT) LANG_=$(LANG_) PYTHON=$(PYTHON)"

appraise: .venv/run.stamp ## set everything up, appraise the shipped evidence, say where the page lies
	@$(BIN)/klarsyn appraise $(BASE) --out $(OUT) --lang $(LANG_)

test: .venv/dev.stamp browser lint types imports tests ## lint, types, import direction and all tests, a real browser included

lint: .venv/dev.stamp ## style of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/dev.stamp ## static types
	@$(BIN)/basedpyright --level error

imports: .venv/dev.stamp ## imports point downwards only
	@$(BIN)/lint-imports --no-cache

tests: .venv/dev.stamp browser ## the tests alone
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2

browser: ## a Chromium for the tests that open the page (installed when this user may)
	@if ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium from the system's packages ..."; \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	  fi; \
	fi; \
	command -v chromium >/dev/null || { \
	  echo "The tests open the page in Chromium, which is not on this machine and could not be installed."; \
	  echo "Install it (Debian: apt-get install chromium) and run make test again."; exit 1; }

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Klarsyn needs Python 3.11 or newer; name one with make PYTHON=...")'
	@"$(PYTHON)" -m venv .venv

.venv/run.stamp: .venv/bin/python requirements/run.txt pyproject.toml
	@echo "Installing what Klarsyn needs (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.txt
	@echo "Installing what the tests need (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

pins: ## renew the pins in requirements/ (needs uv); no download address is written
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group build pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --all-extras --group dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

clean: ## remove the environment and what was written
	@rm -rf .venv out .pytest_cache .ruff_cache .hypothesis
