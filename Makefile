# Two commands matter: `make verify` and `make test`. Both set up .venv on their first run and again when setup.py or
# pyproject.toml changes. Paths are relative throughout, so a checkout whose path has spaces works.

PYTHON ?= python3
ARGS ?=
export ARGS

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
BUILD_FILES := setup.py pyproject.toml

# ARGS goes through the environment and is split by Python's shlex: parentheses, * and spaces within quotes reach the
# program as they were typed, where the shell would take `tanh(z)` for its own syntax.
WITH_ARGS := $(PY) -c 'import os, shlex, sys; os.execv(sys.argv[1], sys.argv[1:] + shlex.split(os.environ["ARGS"]))'

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help verify test lint types unit docs doctest bench picture setup clean

help:  ## list the targets
	@echo 'usage: make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@sed -n 's/^\([a-z]*\):.*##/  \1  /p' Makefile | awk '{ name = $$1; $$1 = ""; printf "  %-8s %s\n", name, $$0 }'

verify: $(VENV)/.package  ## check the statements; writes report/index.html (ARGS='--activation tanh(z)', '--help')
	@$(WITH_ARGS) $(VENV)/bin/manifoldflow verify --out report

test: lint types unit docs doctest  ## everything a change must pass: ruff, mypy, pytest, the documentation and its examples

lint: $(VENV)/.dev  ## ruff
	$(PY) -m ruff check .

types: $(VENV)/.dev  ## mypy
	$(PY) -m mypy

unit: $(VENV)/.dev  ## pytest, warnings as errors, on up to four processors (ARGS='-k flow', '-n0' for one process)
	@$(WITH_ARGS) $(PY) -m pytest -n logical --maxprocesses 4 --dist worksteal

docs: $(VENV)/.dev  ## build docs/_build/html, warnings as errors
	$(PY) -m sphinx -q -W --keep-going -n -b html docs docs/_build/html

doctest: $(VENV)/.dev  ## run the examples in the documentation
	$(PY) -m sphinx -q -W -b doctest docs docs/_build/doctest

picture: $(VENV)/.dev  ## draw the README's picture again: docs/_static/collapse.svg
	$(PY) examples/collapse.py docs/_static/collapse.svg

bench: $(VENV)/.bench  ## compare with other tools; installs them first (ARGS='flow --limit 20', '--help')
	@$(WITH_ARGS) $(PY) -m benchmarks

setup: $(VENV)/.dev  ## create .venv with everything that the tests need

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) build dist *.egg-info report study docs/_build docs/_pictures .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: a stamp is written only after its step has succeeded -------------------------------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys' 2>/dev/null || { \
	  echo 'make: no Python found as "$(PYTHON)". Install Python 3.11 or later, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or later is needed. Name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'make: $(PYTHON) cannot create virtual environments (no ensurepip). On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up $(VENV) (once; a few minutes on a slow line) ...'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.package: $(VENV)/.created $(BUILD_FILES)
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.created $(BUILD_FILES)
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.package

$(VENV)/.bench: $(VENV)/.created $(BUILD_FILES)
	@$(PIP) --editable '.[bench]'
	@touch $@ $(VENV)/.package
