# Two commands: `make demo` and `make test`. Both set up what they need first and are safe to run again.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock clean

PYTHON := .venv/bin/python
WORKERS ?= 2

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what Flota needs (apt packages, .venv)
	@scripts/setup.sh

demo: setup ## Run the main job end to end; ARGS="--keep --json F" go to `flota demo`
	@.venv/bin/flota demo $(ARGS)

test: check ## Lint, type-check and run every test
	@$(PYTHON) -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: setup ## Lint and type-check only
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

format: setup ## Format the Python code
	@$(PYTHON) -m ruff check --fix-only .
	@$(PYTHON) -m ruff format .

lock: setup ## Resolve requirements.lock again from pyproject.toml
	@.venv/bin/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header \
	  --extra all --extra dev pyproject.toml -o requirements.lock

clean: ## Remove the environment, build products and the workspace
	rm -rf .venv .flota build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
