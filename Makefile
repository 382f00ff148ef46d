# Every target does its own set-up: a virtual environment in .venv, small seeded weights in
# var/weights, predictions to replay in var/predictions. The first time takes some minutes, later
# ones well under a second.

PYTHON ?= python3
# What `make demo` runs, what `make bench` measures (all of benchmarks/ by default), and with what
# arguments the tests are run; each can be set on the command line: make test ARGS='-m "not vllm"'.
DEMO ?= run --config demo
BENCHMARKS ?= $(sort $(patsubst benchmarks/%/__main__.py,%,$(wildcard benchmarks/*/__main__.py)) \
	$(patsubst benchmarks/%.py,%,$(filter-out benchmarks/_% benchmarks/soak.py,$(wildcard benchmarks/*.py))))
ARGS ?=
WORKERS ?= 2

# Started under `uv run`, Ray would rebuild the environment in every worker.
export RAY_ENABLE_UV_RUN_RUNTIME_ENV = 0
export RAY_USAGE_STATS_ENABLED = 0
# vLLM on the CPU compiles small functions with g++ and Python's headers; without them, do not try.
ifeq ($(shell command -v nvidia-smi || command -v g++),)
export TORCHDYNAMO_DISABLE = 1
endif

.DEFAULT_GOAL := help
.PHONY: help setup environment demo test trial check bench soak clean

help:
	@echo "make demo    controls and tiny models over the miniature benchmark: tables and pictures"
	@echo "make test    one case of each kind; ARGS='-m quick' for those of seconds"
	@echo "make trial   every test: all kills, seeds, faults and twins, about an hour"
	@echo "make check   style, types and import arrows"
	@echo "make bench   the measurements of benchmarks/ (BENCHMARKS='scale gate' for some)"
	@echo "make soak    the long fault-injection run"
	@echo "make clean   removes the environment, the made weights and the caches; results stay"

setup:
	@$(PYTHON) -m medgen.launch.setup.setup_env

environment:
	@$(PYTHON) -m medgen.launch.setup.setup_env environment

# The demo's encoders have random weights; yours are elsewhere, and stay out of it.
demo: setup
	MEDGEN_WEIGHTS=$(CURDIR)/var/weights/tiny-metrics .venv/bin/medgen $(DEMO)

# Without a network the second environment cannot be made; its one test then says so.
test: setup
	-@$(PYTHON) -m medgen.launch.setup.setup_env second
	.venv/bin/python -m pytest -q -n $(WORKERS) --dist loadgroup -m "not trial" $(ARGS)

trial: setup
	-@$(PYTHON) -m medgen.launch.setup.setup_env second
	.venv/bin/python -m pytest -q -n $(WORKERS) --dist loadgroup $(ARGS)

check: environment
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python tests/budget.py

bench: setup
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; .venv/bin/python -m benchmarks.$$name; done

soak: setup
	.venv/bin/python -m benchmarks.soak

clean:
	rm -rf .venv var/environments var/weights var/setup.log dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
