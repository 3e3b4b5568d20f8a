# `make` lists the targets. Each makes the environment it needs (.venv, on first use, and again when the
# requirements change); nothing else has to be installed by hand but Python 3.11 or newer with its venv module.
# A different interpreter: make demo PYTHON=/path/to/python

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
TYPED := build/installed

# Two cores and small tensors: more threads than one cost more than they give (and shared machines suffer most).
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench evaluate sums lint types clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## draw, edit, segment, ask; track, edit and make videos; results in out/demo
	$(BIN)/vitron-agent demo --out out/demo

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: $(STAMP)  ## the benchmarks: seconds per planner turn, picture, mask, edit
	$(BIN)/python -m pytest tests/benchmarks -s

evaluate: $(STAMP)  ## the held-out evaluation, with and without signals; report and samples in out/evaluation
	$(BIN)/vitron-agent evaluate --no-signals --out out/evaluation

sums:  ## list the tiny weights' digests anew, after they were trained
	cd vitron_agent/weights/tiny && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS

lint: $(STAMP)  ## ruff: style, imports, docstrings, complexity
	$(BIN)/ruff check .

# A type checker does not see that tools/ is vitron_agent.tools in a source checkout, so it reads an installed copy.
types: $(STAMP)  ## mypy on an installed copy
	rm -rf build
	$(BIN)/python -m pip install -qq --no-deps --target $(TYPED) .
	cd $(TYPED) && MYPYPATH=. ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml \
		--cache-dir ../../.mypy_cache -p vitron_agent

clean:  ## remove what was built (the environment and results in out/ stay)
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	python=$$(for p in $(PYTHON) python3.11 python3 python3.12 python3.13; do \
		"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done) || \
		{ echo "No Python 3.11 or newer was found. Name one: make PYTHON=/path/to/python" >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "making $(VENV) with $$python"; "$$python" -m venv $(VENV); }
	@echo "installing the requirements into $(VENV) (a minute or two)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@
