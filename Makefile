PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard fastsock/compiled/*.p[xy][dx] fastsock/compiled/*/*.p[xy][dx])

# Asked for, not left to auto: a missing extension is then an error. PyPy is to have none.
build = $(if $(findstring PyPy,$(shell cat $(VENV)/interpreter)),pure,compiled)
backends = stdlib,pure$(if $(filter compiled,$(build)),$(comma)compiled)
comma := ,

.PHONY: help test compare compare-all instructions lint wheel clean FORCE

help:
	@echo 'make test          run the tests on both backends and on the stdlib'
	@echo 'make compare       run the hello example, then compare fastsock with the stdlib'
	@echo 'make compare-all   compare every case in every scenario'
	@echo 'make instructions  count user-space instructions with valgrind; fails over the bars'
	@echo 'make lint          ruff, mypy, stubtest and cython-lint'
	@echo 'make wheel         sdist, compiled wheel and pure wheel in dist/, each installed and tested'
	@echo 'make clean         remove what was built, and .venv'
	@echo
	@echo 'PYTHON=python3.13 takes that interpreter; ARGS="..." goes to pytest, or to bench/compare.py'

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest tests --backends $(backends) $(ARGS)

compare: $(VENV)/bench.stamp
	$(BIN)/python tools/hello.py
	$(BIN)/python bench/compare.py $(ARGS)

compare-all: $(VENV)/bench.stamp
	$(BIN)/python bench/compare.py --all $(ARGS)

instructions: $(VENV)/test.stamp
	$(BIN)/python bench/instructions.py

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastsock --allowlist tests/stubtest_allowlist.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint $(SOURCES)

# From the sdist, not from the tree: that proves the sdist complete.
wheel: $(VENV)/wheel.stamp
	rm -rf dist build/wheel
	$(BIN)/python -m build --sdist
	FASTSOCK_BUILD=pure $(BIN)/pip wheel -q --no-deps -w dist dist/*.tar.gz
	FASTSOCK_BUILD=compiled $(BIN)/pip wheel -q --no-deps -w build/wheel dist/*.tar.gz
	if [ -x $(BIN)/auditwheel ]; \
	then PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --strip -w dist build/wheel/*.whl; \
	else mv build/wheel/*.whl dist; \
	fi
	$(BIN)/python tools/check_wheels.py dist $(ARGS)

clean:
	rm -rf $(VENV) build dist fastsock.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find fastsock/compiled -name "*.so" -delete
	find . -name __pycache__ -prune -exec rm -rf {} +

# The venv with the extra of that name, the extensions built in place.
$(VENV)/%.stamp: $(VENV)/interpreter build/configured $(SOURCES)
	FASTSOCK_BUILD=$(build) $(BIN)/pip install -q -e '.[$*]'
	@touch $@

# Cython sees changes of the sources, but not of how they are to be built.
build/configured: setup.py pyproject.toml
	rm -rf build
	mkdir build
	@touch $@

# Made anew when $(PYTHON) is not the interpreter that it was made with.
$(VENV)/interpreter: FORCE
	@interpreter=$$($(PYTHON) -c 'import platform, sys, sysconfig; print(platform.python_implementation(), \
		platform.python_version(), sysconfig.get_config_var("EXT_SUFFIX"), sys.base_prefix)') && \
	if [ "$$interpreter" != "$$(cat $@ 2>/dev/null)" ]; then \
		rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && echo "$$interpreter" >$@; \
	fi
