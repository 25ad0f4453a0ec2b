# make study   environment, default study, summary, path of the report
# make test    environment, every check and test
# Needs Python >= 3.11 and the package index; everything goes into .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES ?= all

.PHONY: study test check format docs lock

study: $(VENV)/study.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)
	@PYTHONPATH=workflow_scripts $(BIN)/python -m coact.comparison results/comparison/summary.parquet results/report/report.html

test: check
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest

check: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	PYTHONPATH=workflow_scripts $(BIN)/lint-imports --no-cache
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint

format: $(VENV)/dev.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: $(VENV)/study.installed
	PYTHONPATH=workflow_scripts $(BIN)/python docs/generate.py

lock:
	PYTHON=$(PYTHON) bash envs/lock.sh

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; set PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/study.installed: envs/study.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r envs/study.lock
	@touch $@

$(VENV)/dev.installed: envs/dev.lock $(VENV)/study.installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r envs/dev.lock
	@touch $@
