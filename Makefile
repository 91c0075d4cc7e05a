# certbridge: `make demo` shows the whole loop, `make test` proves it. Both set themselves up.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ONCE ?=
KEEP ?=

.DEFAULT_GOAL := help
.PHONY: help docs demo test check format bench clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

$(VENV)/.run: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(VENV)/.run ## Run the main job end to end on real input and serve on; ONCE=1 ends after the loop, KEEP=DIR keeps the files
	$(BIN)/certbridge demo $(if $(ONCE),--once) $(if $(KEEP),--keep "$(KEEP)")

check: $(VENV)/.test ## Formatting, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Everything that must hold: checks, then the suite
	$(BIN)/python -m pytest -n 4 --dist loadfile

format: $(VENV)/.test ## Lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## Ratios against peers measured in the same run
	$(BIN)/python -m benchmarks

docs: $(VENV)/.test ## Write the parts of the documentation that come from the code
	PYTHONPATH=. $(BIN)/python docs/build.py

clean: ## Forget the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
