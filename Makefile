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
REQUIREMENTS := setup.py $(filter-out requirements/docs.txt,$(wildcard requirements/*.txt))
DOCS_VENV ?= .venv-docs

.PHONY: help demo test lint profile-gpu docs clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo   pre-train on photo patches for about five minutes; a table and work_dirs/demo/report.html'
	@echo '            EPOCHS=, METHOD=, SEED=, DATA=/folder/of/images'
	@echo 'make test   the test suite; STACK=official, TESTS=tests/datasets, JOBS=2'
	@echo 'make lint   ruff, its format, and mypy'
	@echo 'make profile-gpu   steps of all methods on this GPU, in under ten minutes; fills docs/howto/profiling.md'
	@echo 'make docs   the site, build/site/index.html; any warning is an error'
	@echo 'make clean  remove the environments and caches, keep work_dirs'
	@echo 'VENV=.venv and PYTHON=python3 choose the environment and the Python (3.10 or newer) that makes it.'

demo: $(VENV)/.runtime
	$(BIN)/python tools/demo.py $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(METHOD),--method $(METHOD)) \
	    $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data "$(DATA)") --work-dir work_dirs/demo

# Tests start many processes: what Python has compiled is kept, also where the environment says otherwise.
test: $(VENV)/.all
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(TESTS)

lint: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

profile-gpu: $(VENV)/.runtime
	$(BIN)/python tools/profiling/steps.py --minutes 9 --write docs/howto/profiling.md --out work_dirs/profile-gpu.json

docs: $(DOCS_VENV)/.done
	rm -rf build/docs build/site
	$(DOCS_VENV)/bin/python docs/assemble.py build/docs
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict --config-file build/docs/site.yml
	@echo 'Open build/site/index.html'

clean:
	rm -rf .venv .venv-official .venv-docs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian's Python may lack ensurepip; then the outer pip puts one into the environment.
$(BIN)/python $(DOCS_VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mmssl needs Python 3.10 or newer: make PYTHON=...")'
	@echo 'Setting up $(@D:/bin=): up to five minutes, once.'
	$(PYTHON) -m venv $(@D:/bin=) || { $(PYTHON) -m venv --clear --without-pip $(@D:/bin=) && \
	    $(PYTHON) -m pip --python $@ install --quiet pip; }

$(VENV)/.runtime: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable .
	@touch $@

# mmcv and imaug bring opencv-python as well, the same files but linked to libGL, which a server may lack.
$(VENV)/.all: $(REQUIREMENTS) | $(BIN)/python
	$(INSTALL) --editable '.[all]'
	$(INSTALL) --no-deps --force-reinstall opencv-python-headless
	@touch $(VENV)/.runtime $@

$(DOCS_VENV)/.done: requirements/docs.txt requirements/constraints.txt | $(DOCS_VENV)/bin/python
	$(DOCS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	    --constraint requirements/constraints.txt --requirement requirements/docs.txt
	@touch $@
