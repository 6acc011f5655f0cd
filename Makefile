# Everything is installed into .venv, from the package registry that pip is set up for.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
NET ?= digits
BOARD ?= icebreaker
WORKERS ?= 2

# Whose areas are in the baseline.
DESIGNS := eie-paper eie-best scnn-tiny scnn-tile
area = $(BIN)/zeroskip area --engine $(firstword $(subst -, ,$(1))) \
	--preset $(lastword $(subst -, ,$(1))) $(2) -o out/area/$(1).json

BIN := .venv/bin
STAMP := .venv/.installed
DEVELOPED := .venv/.installed-dev
comma := ,
# What commands need; tests, documentation and a processor beside the chip need more.
USED := torch,onnx,sweep,synth,fpga,bus

# Each command and each simulation of the tests is a process, which would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --no-loadscope-reorder

.PHONY: help docs evaluations history zoo sim test test-all coverage area gates verilog bitstream lint wheel clean dev venv tools

help:  ## Show this.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r t d; do printf 'make %-11s %s\n' "$$t" "$$d"; done

sim: tools $(STAMP)  ## Train, compress and compile a network, run it on RTL, compare every word (NET=digits, cnn or lstm).
	@$(BIN)/zeroskip demo '$(NET)'

test: tools $(DEVELOPED)  ## Run the short tier of tests: every unit, RTL of one array per engine (minutes).
	@$(PYTEST) --tier short

test-all: test  ## Run the tests of make test, then the long tier (docs/tests.md; under half an hour).
	@$(PYTEST) --tier long

# Its package is installed here alone: nothing else needs it.
coverage: tools $(DEVELOPED)  ## Run the short tier and print which lines of the product it runs.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check coverage==7.17.5
	@rm -rf out/coverage && mkdir -p out/coverage
	@export COVERAGE_ROOT=$(CURDIR) COVERAGE_RCFILE=$(CURDIR)/tests/coverage.ini; \
		COVERAGE_PROCESS_START=$$COVERAGE_RCFILE $(PYTEST) --tier short; \
		$(BIN)/coverage combine --quiet; $(BIN)/coverage report --sort=miss; \
		for folder in compiler hw sim zeroskip; do printf '%-9s %s %%\n' $$folder \
			"$$($(BIN)/coverage report --include "$$folder/*" --format total)"; done

area: $(STAMP)  ## Synthesize EIE's array and a PE of SCNN, compare with the baseline, write out/area.
	@mkdir -p out/area
	@$(foreach design,$(DESIGNS),$(call area,$(design),--baseline);)

gates: tools $(STAMP)  ## Run the gates of EIE arrays and an SCNN PE on vectors, every bit compared (long).
	@mkdir -p out/area
	@$(foreach design,$(DESIGNS),$(call area,$(design),--check --baseline);)

verilog: $(STAMP)  ## Write the EIE array as Verilog that needs nothing else, to out/verilog.
	@$(BIN)/zeroskip verilog -o out/verilog

bitstream: $(STAMP)  ## Make a board's bitstream with a network in it (BOARD=icebreaker, NET=digits; minutes).
	@$(BIN)/python -m scripts.demo_board --board '$(BOARD)' --net '$(NET)'

docs: $(DEVELOPED)  ## Build the site of the documentation, out/docs/index.html; a broken link is an error.
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs out/docs

evaluations: tools $(STAMP)  ## Measure again what the site's evaluations show (long).
	@$(BIN)/python docs/generate/renew.py

history: $(STAMP)  ## Read again from git what the site's page of the history of figures shows.
	@cd docs && ../$(BIN)/python -m generate.history

zoo: $(STAMP)  ## Train the networks of the site's model zoo and measure them again (some ten minutes).
	@cd docs && ../$(BIN)/python -m generate.zoo

lint: $(DEVELOPED)  ## Check style and types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --project pyproject.toml

wheel: $(STAMP)  ## Build dist/zeroskip-VERSION-py3-none-any.whl, to install without this folder.
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@rm -rf build
	@ls dist/*.whl

venv: $(STAMP)  ## Only install what commands need.

dev: $(DEVELOPED)  ## Install what tests, lint and docs need, too.

clean:  ## Remove what was generated; .venv stays.
	rm -rf out dist build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

tools:
	@for tool in g++ perl; do command -v $$tool > /dev/null || { \
		echo "make: $$tool is not on PATH: install it, for instance with 'apt install $$tool'" >&2; \
		exit 2; }; done

define install
	@command -v $(PYTHON) > /dev/null || { \
		echo "make: $(PYTHON) is not on PATH: install Python 3.11 or newer" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) is $$($(PYTHON) -V), but Zeroskip needs 3.11 or newer:" \
			"name one with 'make PYTHON=python3.12'" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments:" \
			"install its venv module, for instance with 'apt install python3-venv'" >&2; exit 2; }
	@echo "Installing into .venv (once; some minutes)"
	@$(PYTHON) -m venv .venv
	@# compat: type checkers find the package by a path, and not by an import hook.
	@# no-compile: what is imported is compiled then, which is a fifth of all that is installed.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint constraints.txt --config-settings editable_mode=compat --editable '.[$(1)]'
	@test -n "$$($(BIN)/python -m find_libpython)" || { \
		echo "make: $(PYTHON) has no shared libpython, which cocotb loads:" \
			"install it, for instance with 'apt install libpython3-dev'" >&2; exit 2; }
endef

$(STAMP): pyproject.toml constraints.txt
	$(call install,$(USED))
	@touch $@

# All at once: both stamps are then there.
$(DEVELOPED): pyproject.toml constraints.txt
	$(call install,$(USED)$(comma)soc$(comma)docs$(comma)dev)
	@touch $(STAMP) $@
