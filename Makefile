# `make demo` and `make test` each do all the set-up on a fresh machine, then the work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# TensorRT's own Python bindings, which calls are checked against; tests skip what is not there.
BINDINGS := .tensorrt-bindings
TENSORRT := 10.3.0 10.13.3.9 11.4.0.106

.PHONY: demo test test-slow check format clean

demo: $(READY)
	$(BIN)/mvrec-edge demo --out demo-output --overwrite

test: $(READY) | $(BINDINGS)
	$(BIN)/pytest -m "not slow"

test-slow: $(READY) | $(BINDINGS)
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output $(BINDINGS)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

$(BINDINGS): | $(READY)
	-for version in $(TENSORRT); do \
		$(BIN)/pip download --quiet --no-deps --dest $@ tensorrt_cu12_bindings==$$version; \
	done
