# The whole contributor interface. CI (.ci/run) calls the same targets.
#
#   make demo              set up and run a hub and a village node (ARGS=--once: check and exit)
#   make test              set up and run every test (ARGS="tests/sync -k trust" for some)
#   make bench             run the benchmarks of the wire (ARGS=--quick: a minute each)
#   make check             lint, formatting, types
#   make services          install what the real-service tests need (Chromium, Apache Kafka, [export])
#   make screenshot        take the README's picture anew
#   make clean             remove the virtual environment and what the demo left

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --constraint packaging/constraints.txt
ARGS   ?=

.PHONY: demo test bench check services screenshot clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/python packaging/demo/demo.py $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev
	@for name in delta lessons epub model_delta resume fleet; do \
	  echo "== $$name" >&2; $(BIN)/python -m tests.bench.$$name $(ARGS) || exit 1; done

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

services: $(VENV)/.export
	bash packaging/services/install.sh

screenshot: $(VENV)/.dev
	$(BIN)/python -m pytest tests/e2e/test_walk.py --screenshot docs/portal.png

clean:
	rm -rf $(VENV) demo-data

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11; run make PYTHON=python3.12 (or newer)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "error: cannot make $(VENV); on Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.demo: pyproject.toml packaging/constraints.txt | $(BIN)/python
	$(PIP) --editable '.[hub,node]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.export: $(VENV)/.dev
	$(PIP) --editable '.[dev,export]'
	@touch $@
