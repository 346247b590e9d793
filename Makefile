# `make` lists the targets. Everything is installed into $(VENV), nothing outside this folder.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo

SHELL := /bin/bash
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CORE := $(VENV)/.longqa-core
DEV := $(VENV)/.longqa-dev
LISTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV) ## install the project and its developer tools into .venv

demo: $(CORE) ## build a dataset from examples/ and say where it is
	$(BIN)/longqa build examples --out $(DEMO)
	@echo
	@echo "dataset: $(abspath $(DEMO))  (datasets.load_dataset reads this folder)"
	@echo "page:    $(abspath $(DEMO))/report.html  (open it in a browser)"

test: $(DEV) ## run the test suite: some minutes, no network
	$(BIN)/python -m pytest

soak: $(DEV) ## run the long tests: crashes, browser, several processes
	$(BIN)/python -m pytest -m soak

lint: $(DEV) ## ruff (rules and format) and mypy, strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV) ## let ruff mend and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DEV) ## run every script of benchmarks/: each prints what it measured
	@set -e; for script in benchmarks/*.py; do \
		echo "== $$script"; $(BIN)/python "$$script"; \
	done

clean: ## remove .venv, the demo, and what the tools left behind
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find longqa data finetune eval tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# Three stamps: the virtual environment, the project alone, the project with its developer tools.
# They are made last, so that an interrupted step is done again.

$(VENV)/.longqa-venv:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) is not installed; needed: Python 3.11 or newer;" \
			"fix: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); needed: Python 3.11 or newer;" \
			"fix: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment;" \
			"fix (Debian, Ubuntu): apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(CORE): $(VENV)/.longqa-venv $(LISTS)
	@echo "installing longqa into $(VENV) …"
	@$(PIP) install --editable . --constraint constraints.txt
	@touch $@

$(DEV): $(VENV)/.longqa-venv $(LISTS)
	@echo "installing longqa and its developer tools into $(VENV) …"
	@$(PIP) install --editable '.[dev]' --constraint constraints.txt
	@touch $(CORE) $@
