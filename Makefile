# make demo     renders a scene pair, fuses it with the embedded weights and says where the pictures are
# make test     runs the tests (the slow ones are left to `make nightly`)
# make fresh    runs them on what is committed, in a clone that has no data set and no other file of yours beside it
# make lint     ruff and mypy
# make wheel-check  builds the wheel, installs it with its dependencies into a new environment, and runs it there
# Every target first makes the environment in VENV; it is installed again only when pyproject.toml has changed.
# PIP_ARGS reaches pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" for a torch without CUDA.

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
# Tests run in as many processes, four at most, with one thread each: their networks are too small for two. The tests of
# one file stay together, since they share what takes long to make.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS ?= $(shell [ $(CORES) -gt 4 ] && echo 4 || echo $(CORES))
TESTS = pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

# Small tensors gain nothing from more than four threads, and lose a lot on machines with many cores.
export OMP_NUM_THREADS ?= $(WORKERS)

.PHONY: demo test fresh nightly wheel-check lint install clean

demo: $(STAMP)
	$(BIN)/ldfusion demo -o demo --overwrite

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m $(TESTS)

# PYTHONPATH, since the package installed in the environment is that of this folder
fresh: $(STAMP)
	folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT && git clone --quiet . $$folder/clone && cd $$folder/clone && \
		env -u LDFUSION_DATA OMP_NUM_THREADS=1 PYTHONPATH=$$folder/clone$${PYTHONPATH:+:$$PYTHONPATH} $(abspath $(BIN))/python -m $(TESTS)

nightly: $(STAMP)
	$(BIN)/python -m pytest -m "slow or not slow" --timeout 3600 $(PYTEST_ARGS)

wheel-check: $(STAMP)
	WHEEL_ALONE=1 $(BIN)/python -m pytest -m slow --timeout 3600 tests/test_wheel.py $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(STAMP)

$(STAMP): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "make: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { \
		echo "make: $(PYTHON) cannot make an environment; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null 2>&1 || { \
		echo "make: $(VENV) has no pip; install the venv module of $(PYTHON) (Debian, Ubuntu: apt install python3-venv), then rm -r $(VENV)" >&2; exit 1; }
	@echo "installing into $(VENV), the first time this takes some minutes"
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -e ".[train,dev]"
	@touch $@

clean:
	rm -rf demo build dist .mypy_cache .ruff_cache .pytest_cache
