# `make help` lists the targets. Each sets up what it needs; a second call sets up nothing unless a requirement changed.
PYTHON ?= python3
STACK ?= maintained
JOBS ?= 2
TESTS ?= tests
EPOCHS ?=
METHOD ?=
SEED ?=
DATA ?=

ifeq ($(STACK),maintained)
VENV ?= .venv
else ifeq ($(STACK),official)
VENV ?= .venv-official
else
$(error STACK=$(STACK): say maintained or official)
endif

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := MMSSL_STACK=$(filter official,$(STACK)) $(PIP) install --prefer-binary --no-compile --constraint requirements/constraints.txt
REQUIREMENTS := setup.py $(wildcard requirements/*.txt)

.PHONY: help demo test lint types clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo   pre-train on photo patches for about five minutes; a table and work_dirs/demo/report.html'
	@echo '            EPOCHS=, METHOD=, SEED=, DATA=/folder/of/images'
	@echo 'make test   the test suite; STACK=official, TESTS=tests/datasets, JOBS=2'
	@echo 'make lint   ruff; make types runs mypy, whose word is advice'
	@echo 'make clean  remove the environments and caches, keep work_dirs'
	@echo 'VENV=.venv and PYTHON=python3 choose the environment and the Python (3.10 or newer) that makes it.'

demo: $(VENV)/.runtime
	$(BIN)/python tools/demo.py $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(METHOD),--method $(METHOD)) \
	    $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data "$(DATA)") --work-dir work_dirs/demo

test: $(VENV)/.all
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) $(TESTS)

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.all
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-official build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's Python may lack ensurepip; then the outer pip puts one into the environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mmssl needs Python 3.10 or newer: make PYTHON=...")'
	@echo 'Setting up $(VENV): two to five minutes, once.'
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }

$(VENV)/.runtime: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable .
	@touch $@

# mmcv and imaug bring opencv-python as well, the same files but linked to libGL, which a server may lack.
$(VENV)/.all: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable '.[all]'
	$(INSTALL) --no-deps --force-reinstall opencv-python-headless
	@touch $(VENV)/.runtime $@
