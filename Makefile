# The two commands of the README are `make demo` and `make test`; each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test fast lint check docs bench clean

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"qnet needs Python 3.11 or newer, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

demo: $(STAMP)  ## two ion traps, one station: 1000 pairs over real processes
	$(BIN)/qnet run deploy/topologies/ion-pair.toml --seed 7 --set pairs=1000

test: lint fast  ## everything that CI runs
	$(BIN)/python -m pytest -q -m "slow and not processes" -n auto --dist worksteal
	$(BIN)/python -m pytest -q -m "slow and processes"

fast: $(STAMP)  ## the part that is quick enough for every commit
	$(BIN)/python -m pytest -q -m "not slow" -n auto --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## write the generated tables again
	$(BIN)/python docs/generate.py

bench: $(STAMP)
	$(BIN)/qnet bench

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
