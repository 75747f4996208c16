# `make demo` and `make test` need Python 3.11 or newer and make; everything else goes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-duckdb15 test-spark check check-spark docs bench bench-peers lock clean

VENV := .venv
BIN := $(VENV)/bin
OLD := .venv-duckdb15
SPARK := .venv-spark
SPARK_PLUGIN := plugins/cxmodel-spark
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-input
SELF_INSTALL := --no-deps --no-build-isolation

# First-party plugins that are installed and tested with the library (heavy ones have their own lock).
PLUGINS := $(wildcard plugins/cxmodel-example)
EDITABLE := -e . $(addprefix -e ./,$(PLUGINS))
PLUGIN_SOURCES := $(wildcard $(addsuffix /src,$(PLUGINS)))
PLUGIN_TESTS := $(wildcard $(addsuffix /tests,$(PLUGINS)))
PROJECT_FILES := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))

# Caches stay here, so an empty or read-only home is no obstacle.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib
export PYTHONNOUSERSITE := 1
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

PYTEST_ARGS ?=
# What is measured once rows are read knows nothing of the engine.
OLD_TESTS := cli data datasets laws measuring open_data reading test_docs.py test_readme.py
PYTEST := -m pytest --doctest-modules src tests $(PLUGIN_TESTS) $(PYTEST_ARGS)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## Run the worked example; pictures and tables go to out/
	@$(BIN)/cxmodel demo --out out

test: $(VENV)/.dev ## Run every test and every example in the docstrings
	@$(BIN)/python $(PYTEST)

test-duckdb15: $(OLD)/.dev ## The tests of what the engine has a part in, on DuckDB 1.5
	@$(OLD)/bin/python -c 'import duckdb; print("DuckDB", duckdb.__version__)'
	@$(OLD)/bin/python -m pytest --doctest-modules src $(addprefix tests/,$(OLD_TESTS)) $(PLUGIN_TESTS) $(PYTEST_ARGS)

test-spark: $(SPARK)/.dev ## The tests of the Spark plugin, which needs Java 17
	@command -v java > /dev/null || { echo "make test-spark needs Java 17 or newer (apt-get install openjdk-17-jre-headless)" >&2; exit 1; }
	@$(SPARK)/bin/python -m pytest $(SPARK_PLUGIN)/tests $(PYTEST_ARGS)

check: $(VENV)/.dev ## Format, lint, types and the floor plan; lists what failed
	@failed=""; \
	run() { echo "── $$*"; "$$@" || failed="$$failed [$$*]"; }; \
	run $(BIN)/ruff format --check .; \
	run $(BIN)/ruff check .; \
	run $(BIN)/mypy; \
	for source in $(PLUGIN_SOURCES); do run env MYPYPATH="$$source" $(BIN)/mypy "$$source"; done; \
	run $(BIN)/pyright src $(PLUGIN_SOURCES); \
	run $(BIN)/lint-imports --no-logo; \
	if [ -n "$$failed" ]; then echo "make check: failed:$$failed"; exit 1; fi; \
	echo "make check: all clean"

check-spark: $(VENV)/.dev $(SPARK)/.dev ## Types of the Spark plugin, whose dependencies are in its own environment
	@$(BIN)/mypy --python-executable $(SPARK)/bin/python $(SPARK_PLUGIN)/src

docs: $(VENV)/.dev ## Build the documentation and run its examples
	@$(BIN)/sphinx-build --quiet -W --keep-going -b html docs docs/_build/html
	@$(BIN)/sphinx-build --quiet -W --keep-going -b doctest docs docs/_build/doctest
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.dev ## Time the library against the plain reading of the same file
	@$(BIN)/python benchmarks/run.py

bench-peers: $(VENV)/.dev ## Compare with pm4py, retentioneering, Polars and DuckDB (the first two get their own environments)
	@$(BIN)/python benchmarks/peers/run.py

LOCK := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
UV ?= $(BIN)/uv
UPGRADE ?=

lock: ## Remake the locks from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	@if [ "$(UV)" = "$(BIN)/uv" ]; then $(MAKE) --no-print-directory $(VENV)/.dev; fi
	$(UV) $(LOCK) $(UPGRADE) pyproject.toml build.in -o constraints.txt
	$(UV) $(LOCK) $(UPGRADE) pyproject.toml build.in --group dev --extra all --extra graphviz -c constraints.txt -o constraints-dev.txt
	$(UV) $(LOCK) $(UPGRADE) --group duckdb15 --no-deps -o constraints-duckdb15.txt
	cd $(SPARK_PLUGIN) && $(abspath $(UV)) $(LOCK) $(UPGRADE) ../../pyproject.toml ../../build.in pyproject.toml \
		--group pyproject.toml:test --no-emit-package cxmodel -c ../../constraints.txt -o constraints.txt

clean: ## Remove everything that the targets above made
	rm -rf $(VENV) $(OLD) $(SPARK) out docs/_build build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests plugins benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The first of these that is 3.11 or newer and can make an environment; PYTHON=… chooses another.
PYTHON ?= python3.13 python3.12 python3.11 python3

$(VENV)/.made $(OLD)/.made $(SPARK)/.made:
	@for python in $(PYTHON); do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(@D) with $$("$$python" --version)"; \
			"$$python" -m venv --clear $(@D); \
			touch $@; \
			exit 0; \
		fi; \
	done; \
	echo "cxmodel needs Python 3.11 or newer with its venv module, and none of these is: $(PYTHON)." >&2; \
	echo "Install one (on Debian: apt-get install python3 python3-venv), or say which: make PYTHON=/path/to/python3 …" >&2; \
	exit 1

$(VENV)/.run: constraints.txt $(PROJECT_FILES) | $(VENV)/.made
	@echo "Installing cxmodel with the versions of constraints.txt"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r constraints.txt
	@$(BIN)/python $(PIP_INSTALL) $(SELF_INSTALL) $(EDITABLE)
	@touch $@

$(VENV)/.dev: constraints-dev.txt $(VENV)/.run
	@echo "Installing the tools for tests, checks and docs with the versions of constraints-dev.txt"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r constraints-dev.txt
	@touch $@

$(OLD)/.dev: constraints-dev.txt constraints-duckdb15.txt $(PROJECT_FILES) | $(OLD)/.made
	@echo "Installing the same with DuckDB 1.5"
	@$(OLD)/bin/python $(PIP_INSTALL) --require-hashes -r constraints-dev.txt
	@$(OLD)/bin/python $(PIP_INSTALL) --no-deps --require-hashes -r constraints-duckdb15.txt
	@$(OLD)/bin/python $(PIP_INSTALL) $(SELF_INSTALL) $(EDITABLE)
	@touch $@

$(SPARK)/.dev: $(SPARK_PLUGIN)/constraints.txt $(SPARK_PLUGIN)/pyproject.toml $(PROJECT_FILES) | $(SPARK)/.made
	@echo "Installing cxmodel with Spark"
	@$(SPARK)/bin/python $(PIP_INSTALL) --require-hashes -r $(SPARK_PLUGIN)/constraints.txt
	@$(SPARK)/bin/python $(PIP_INSTALL) $(SELF_INSTALL) $(EDITABLE) -e ./$(SPARK_PLUGIN)
	@touch $@
