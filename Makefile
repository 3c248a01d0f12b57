# Every target sets up what it needs. `make run` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test lint seedling eval-seedling bench-main-job bench-sandbox bench-learning bench-hotpath clean

run: $(READY)  ## the main job: train the default population, measure it, write the report
	$(BIN)/redqueen train configs/default.toml

test: $(READY)  ## everything that CI checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

seedling: $(READY)  ## make the base again into build/seedling/model (an hour and more on a CPU)
	$(BIN)/python -m recipes.seedling.train --out build/seedling --compile

eval-seedling: $(READY)  ## measure the seedling that ships with the package
	$(BIN)/python -m recipes.seedling.evaluate

bench-main-job: $(READY)  ## the default run with three seeds, measured on 1,000 held-out tasks
	$(BIN)/python -m bench.main_job

bench-sandbox: $(READY)  ## verdicts a second, and the hostile corpus
	$(BIN)/python -m bench.sandbox

bench-learning: $(READY)  ## one student on a fixed stream of tasks: does the update learn at all?
	$(BIN)/python -m bench.learning

bench-hotpath: $(READY)  ## generation and learning with shared prompts against padded rows
	$(BIN)/python -m bench.hotpath

clean:
	rm -rf $(VENV) build
