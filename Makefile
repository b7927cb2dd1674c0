# `make demo` and `make test` each do all the set-up on a fresh machine, then the work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .venv-supply
TRIAL := .venv-demo
ALONE := .venv-offline
READY := $(VENV)/.ready

# The Python side of TensorRT alone, for the test that compares our calls with it. Not to be had for every Python and
# processor: then that test says so and is skipped.
BINDINGS := .tensorrt-bindings
TENSORRT_VERSIONS := 10.3.0 10.13.3.9 11.4.0.106

# TensorRT for RTX in full, which builds engines without a GPU: for the tests that have it build every graph. Unpacked in a
# folder of its own, so that the other tests run without it; under NVIDIA's licence, and never shipped. For x86 alone:
# elsewhere those tests say so and are skipped.
RTX := .tensorrt-rtx
RTX_VERSION := 1.7.1.116

.PHONY: demo pocket test test-slow test-python test-lowest matrix matrix-page harness harness-short harness-tools supply lock wheelhouse offline browser browser-tools check format docs clean

# In an environment of its own, without PyTorch.
demo: $(TRIAL)/.ready
	$(TRIAL)/bin/mvrec-edge demo --out demo-output --overwrite

# A process for each core, each with one thread for its products: more threads than cores wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

test: $(READY) $(BINDINGS) $(RTX)
	$(ONE_THREAD) $(BIN)/pytest -m "not slow and not harness" --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slow: $(READY) $(BINDINGS) $(RTX)
	$(BIN)/pytest

# The tests that need no PyTorch, in an environment of their own (supply/matrix.py): make test-python VERSION=3.10
test-python: $(TOOLS)/.ready
	$(TOOLS)/bin/python supply/matrix.py --tools $(TOOLS)/bin $(or $(VERSION),$(error which one? make test-python VERSION=3.10))

# The same with the oldest versions that pyproject.toml allows.
test-lowest: $(TOOLS)/.ready
	$(TOOLS)/bin/python supply/matrix.py --tools $(TOOLS)/bin lowest

# Both for all Pythons that are here, with a table of what ran and what was left out.
matrix: $(TOOLS)/.ready
	$(TOOLS)/bin/python supply/matrix.py --tools $(TOOLS)/bin

# The same, and the table on its page and in its results file.
matrix-page: $(TOOLS)/.ready
	$(TOOLS)/bin/python supply/matrix.py --tools $(TOOLS)/bin --results benchmarks/results/pythons.json --page docs/install.md

# Hostile inputs, faults, kills, threads, leaks (tests/harness): the first trials, and all of them, which takes hours and is
# taken up where the last call ended.
harness-short: $(READY) $(RTX)
	$(ONE_THREAD) $(BIN)/pytest -m harness --numprocesses auto --dist load tests/harness

harness: $(READY) $(RTX)
	$(ONE_THREAD) $(BIN)/python -m tests.harness --results benchmarks/results/harness.json

# What the project stands on: known holes, licences, lock files with hashes, a bill of materials (supply/check.py).
supply: $(READY) $(TOOLS)/.ready
	$(BIN)/python supply/check.py --tools $(TOOLS)/bin --sbom $(TOOLS)/sbom.json

# The lock files anew, with the newest versions that pyproject.toml allows.
lock: $(READY) $(TOOLS)/.ready
	$(BIN)/python supply/check.py --tools $(TOOLS)/bin --write

# All wheels for a machine without a network (docs/install.md): TARGET=x86-cpu, x86-cuda, x86-rtx, jetson6 or jetson7.
wheelhouse: export ASKED_TARGET = $(TARGET)
wheelhouse: export ASKED_PYTHON = $(PYTHON_VERSION)
wheelhouse: export ASKED_EXTRAS = $(EXTRAS)
wheelhouse: $(TOOLS)/.ready
	@$(TOOLS)/bin/python supply/wheelhouse.py --tools $(TOOLS)/bin --target "$$ASKED_TARGET" \
		--python-version "$$ASKED_PYTHON" --extras "$$ASKED_EXTRAS"

# The one for a PC, installed and tried without a network (supply/offline.py).
offline: $(TOOLS)/.ready
	@$(TOOLS)/bin/python supply/wheelhouse.py --tools $(TOOLS)/bin --target x86-cpu
	@$(TOOLS)/bin/python supply/offline.py --wheelhouse wheelhouse/x86-cpu --environment $(ALONE)

# The C compiler that builds what makes calls fail in the harness; does nothing where it is there.
harness-tools:
	@command -v cc >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get install -y -qq gcc libc6-dev >/dev/null 2>&1 || { \
				apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null; }; \
		else \
			echo "a C compiler is missing: as root on Debian, make harness-tools installs it"; \
		fi; }

# Chromium and its driver, for the tests of the report; does nothing where they are there.
browser-tools:
	@command -v chromedriver >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get install -y -qq chromium chromium-driver >/dev/null 2>&1 || { \
				apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; }; \
		else \
			echo "Chromium and its driver are missing: as root on Debian, make browser-tools installs them"; \
		fi; }

# The report in a real browser; `make test` runs these too where the browser is there.
browser: $(READY)
	@command -v chromedriver >/dev/null || { \
		echo "no Chromium with its driver; on Debian, as root: make browser-tools"; exit 1; }
	$(BIN)/pytest -m browser

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The finished bundle of the pocket encoder, which is shipped and which a test compares with what the export makes.
pocket: $(READY)
	$(BIN)/python -m training.finish

# The page of settings, which a test compares with what the command prints.
docs: $(READY)
	$(BIN)/mvrec-edge settings --markdown > docs/config.md

clean:
	rm -rf $(VENV) $(VENV)-* wheelhouse build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output $(BINDINGS) $(RTX)

$(BINDINGS): | $(READY)
	mkdir -p $@
	-for version in $(TENSORRT_VERSIONS); do \
		$(BIN)/pip download --quiet --no-deps --only-binary :all: --dest $@ tensorrt_cu12_bindings==$$version; \
	done

$(RTX): | $(READY)
	mkdir -p $@
	-$(BIN)/pip install --quiet --no-deps --only-binary :all: --target $@ \
		tensorrt_rtx_cu13_libs==$(RTX_VERSION) tensorrt_rtx_cu13_bindings==$(RTX_VERSION)

$(TRIAL)/.ready: pyproject.toml
	$(PYTHON) -m venv $(TRIAL)
	$(TRIAL)/bin/pip install --quiet --editable '.[cpu]'
	touch $@

$(TOOLS)/.ready:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet 'cyclonedx-bom>=7,<8' 'pip-audit>=2.9,<3' 'uv>=0.5,<1'
	touch $@

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
