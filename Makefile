# make study   environment, default study, summary, path of the report
# make test    environment, every check and test
# make plan    what a study will cost, before it starts: make plan CONFIG="presets/wide.yaml my-study.yaml"
# make record  runs what Snakemake still has to do, and has DVC record the results: dvc repro then skips everything
# make verify  whether results are what they were when they were recorded: make verify RESULTS=folder
# Needs Python >= 3.11 and the package index; everything goes into .venv, and SAELens, for the tests, into .venv-sae-lens.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SAE_LENS := .venv-sae-lens
CORES ?= all
TESTERS ?= 2
CONFIG ?=
RESULTS ?= results

.PHONY: study plan record test check format docs lock

study: $(VENV)/study.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)
	@PYTHONPATH=workflow_scripts $(BIN)/python -m coact.comparison results/comparison/summary.parquet results/report/report.html

plan: $(VENV)/study.installed
	@PYTHONPATH=workflow_scripts $(BIN)/python -m coact.plan config.yaml $(CONFIG)

record: $(VENV)/study.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=workflow_scripts python -m ledger all
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc commit --force

verify: $(VENV)/study.installed
	@PYTHONPATH=workflow_scripts $(BIN)/python -m coact.inventory $(RESULTS)

test: check $(SAE_LENS)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" pytest --numprocesses $(TESTERS) --dist loadfile

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

# SAELens wants a transformer-lens that the study cannot have. Its environment lies on top of the study's: what it has
# itself goes first, and all else, PyTorch among it, is the study's.
SITE := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
$(SAE_LENS)/installed: envs/sae-lens.in $(VENV)/study.installed
	$(BIN)/python -m venv --clear --without-pip $(SAE_LENS)
	$(BIN)/python $(SITE) > $$($(SAE_LENS)/bin/python $(SITE))/study.pth
	$(BIN)/python -m pip --python $(SAE_LENS)/bin/python install --disable-pip-version-check --quiet --no-deps -r envs/sae-lens.in
	@echo '*' > $(SAE_LENS)/.gitignore
	@touch $@
