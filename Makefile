# Every target sets up what it needs. `make run` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test lint seedling eval-seedling bench-main-job bench-sandbox bench-guards \
        bench-learning bench-evolution bench-suites bench-extreme bench-hotpath clean

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

bench-guards: $(READY)  ## what the guards turn down, of sound tasks and of the seedling's
	$(BIN)/python -m bench.guards

bench-learning: $(READY)  ## one student on a fixed stream of tasks: does the update learn at all?
	$(BIN)/python -m bench.learning

bench-evolution: $(READY)  ## one child of a 7B model's adapters by each operator, beside PEFT
	$(BIN)/python -m bench.evolution

bench-suites: $(READY)  ## the seedling on every evaluation suite, greedy
	$(BIN)/python -m bench.suites

bench-extreme: $(READY)  ## a hundred adapters beside eight: step time and memory
	$(BIN)/python -m bench.extreme

bench-hotpath: $(READY)  ## generation and learning with shared prompts against padded rows
	$(BIN)/python -m bench.hotpath

clean:
	rm -rf $(VENV) build
