# Two commands matter: `make run` and `make test`. Both set up .venv by themselves when they are first called.

PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Each stamp says what .venv is ready for. They depend on pyproject.toml alone, so a second call costs nothing.
CREATED := $(VENV)/.created
RUNNABLE := $(VENV)/.runnable
TESTABLE := $(VENV)/.testable
BENCHABLE := $(VENV)/.benchable

refuse = { echo "Cannot set up $(VENV) with $(PYTHON): $(1) Choose another one: make PYTHON=/path/to/python3" >&2; exit 1; }

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test lint types wheel docs soak fuzz explore bench bench-quick clean

help: ## show this list
	@echo "usage: make TARGET [PYTHON=/path/to/python3]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s%s\n", $$1, $$2 }' Makefile

run: $(RUNNABLE) ## eight agents index the standard library, each in its own address (docs/examples/stdlib_fleet.py)
	$(BIN)/python docs/examples/stdlib_fleet.py

test: $(TESTABLE) ## the test suite
	$(BIN)/python -m pytest -m "not soak"

lint: $(TESTABLE) ## style: ruff check and ruff format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TESTABLE) ## types: mypy, strict
	$(BIN)/mypy

wheel: $(TESTABLE) ## build the wheel, look inside, install it elsewhere and use it
	rm -rf dist
	$(BIN)/python -m build --wheel
	$(BIN)/check-wheel-contents dist
	$(BIN)/python .ci/check_wheel.py dist/*.whl

docs: $(TESTABLE) ## write docs/cli.md anew, from the code
	$(BIN)/python docs/reference.py

soak: $(TESTABLE) ## the long tests, which `make test` leaves out
	$(BIN)/python -m pytest -m soak --timeout 0

fuzz: $(TESTABLE) ## damage the files of a store in 100,000 ways
	$(BIN)/python -m pytest -m soak --timeout 0 tests/test_fuzz.py

explore: $(TESTABLE) ## the property tests with examples of their own; `make test` always takes the same ones
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile explore --timeout 0

bench: $(BENCHABLE) ## Pronto, the old design and its peers side by side, in under 20 minutes
	$(BIN)/python -m bench run
	$(BIN)/python -m bench report bench/results/complete.json

bench-quick: $(BENCHABLE) ## the same in under two minutes, with fewer rounds
	$(BIN)/python -m bench run --quick

clean: ## remove everything that the other targets made, .venv included
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@$(PYTHON) -c '' 2>/dev/null || $(call refuse,There is no $(PYTHON).)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || $(call refuse,Pronto needs Python 3.11 or newer.)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call refuse,It has no venv module (Debian: python3-venv).)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUNNABLE): pyproject.toml $(CREATED)
	$(PIP) install --editable .
	$(BIN)/python -m compileall -q pronto_lmdb cli
	@touch $@

$(BENCHABLE): pyproject.toml $(CREATED)
	$(PIP) install --editable '.[bench]'
	@touch $(RUNNABLE) $@

$(TESTABLE): pyproject.toml $(CREATED)
	$(PIP) install --editable '.[dev]'
	@touch $(RUNNABLE) $@
