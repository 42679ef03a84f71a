PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard fastsock/compiled/*.p[xy][dx] fastsock/compiled/*/*.p[xy][dx])

# Asked for, not left to auto: a missing extension is then an error. PyPy is to have none.
build = $(if $(shell grep -e PyPy $(VENV)/interpreter),pure,compiled)
TREE := LICENSE Makefile README.md bench docs examples fastsock pyproject.toml setup.py tests tools
SANITIZED := $(addprefix tests/,test_transfer.py test_exact.py streams datagrams test_leaks.py \
	test_interference.py test_fuzz.py)

backends = stdlib,pure$(if $(filter compiled,$(build)),$(comma)compiled)
comma := ,

.PHONY: help test compare compare-all instructions sanitize coverage lint docs cross wheel clean FORCE

help:
	@echo 'make test          run the tests on both backends and on the stdlib'
	@echo 'make compare       run the hello example, then compare fastsock with the stdlib'
	@echo 'make compare-all   compare every case in every scenario'
	@echo 'make instructions  count user-space instructions with valgrind; fails over the bars'
	@echo 'make sanitize      run tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make coverage      run the tests, then print which lines of Python and Cython they did not reach'
	@echo 'make lint          ruff, mypy, stubtest, cython-lint; version and changelog; the workflows'
	@echo 'make docs          the site, in build/site; warnings, dead links and anchors are errors'
	@echo 'make cross         compile the C for other systems: musl, macOS, the BSDs, 32-bit and big-endian Linux'
	@echo 'make wheel         sdist, compiled wheel and pure wheel in dist/: looked into, installed, tested'
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

# The sanitizers' runtime comes first in a process that they did not build. Leaks are tests/test_leaks.py's: the
# interpreter itself leaves memory to the system at its end.
sanitize: build/sanitize.stamp
	cd build/sanitize && \
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	$(CURDIR)/$(BIN)/python -m pytest $(SANITIZED) --backends $(backends) --timeout 600 --capture sys $(ARGS)

# Without CPython's own suites, and whatever fails: a tracer adds places where a signal handler's exception is lost.
coverage: build/coverage.stamp
	-cd build/coverage && $(CURDIR)/$(BIN)/python -m coverage run -m pytest tests --ignore tests/test_cpython.py \
		--backends $(backends) --timeout 600 -q $(ARGS)
	cd build/coverage && $(CURDIR)/$(BIN)/python -m coverage combine -q && $(CURDIR)/$(BIN)/python -m coverage report

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fastsock --allowlist tests/stubtest_allowlist.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint $(SOURCES)
	$(BIN)/python tools/check_release.py
	PATH="$(CURDIR)/$(BIN):$$PATH" actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --quiet --persona pedantic .

docs: $(VENV)/docs.stamp
	rm -rf build/site
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site
	$(BIN)/python tools/check_site.py build/site

# The generated C, for the systems that are not at hand.
cross: $(VENV)/test.stamp $(VENV)/cross.stamp
	$(BIN)/python tools/cross_compile.py $(ARGS)

# Each is made twice, and has to come out the same.
wheel: $(VENV)/wheel.stamp
	rm -rf dist build/wheel
	$(MAKE) build/wheel/first build/wheel/second
	diff -r build/wheel/first build/wheel/second
	mv build/wheel/first dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/check_wheels.py dist $(ARGS)
	$(BIN)/python tools/check_surroundings.py dist

# The wheels come from the sdist, not from the tree: that proves the sdist complete. Their time is the commit's. -g0: the
# paths in what a debugger reads, though stripped later, change the build's id.
build/wheel/%: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)
build/wheel/%: export CFLAGS := -g0
build/wheel/%:
	$(BIN)/python -m build --sdist -o $@
	$(BIN)/python tools/repack_sdist.py $@/*.tar.gz
	FASTSOCK_BUILD=pure $(BIN)/pip wheel -q --no-deps -w $@ $@/*.tar.gz
	FASTSOCK_BUILD=compiled $(BIN)/pip wheel -q --no-deps -w $@/linked $@/*.tar.gz
	if [ -x $(BIN)/auditwheel ]; \
	then PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --strip -w $@ $@/linked/*.whl; \
	else mv $@/linked/*.whl $@; \
	fi
	rm -r $@/linked

clean:
	rm -rf $(VENV) build dist fastsock.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find fastsock/compiled -name "*.so" -delete
	find . -name __pycache__ -prune -exec rm -rf {} +

# A copy of the tree whose extensions are built that way, so that those of the tree stay as they are.
build/%.stamp: $(VENV)/test.stamp $(VENV)/debug.stamp
	rm -rf build/$*
	mkdir -p build/$*
	tar -c --exclude '*.so' --exclude __pycache__ $(TREE) | tar -x -C build/$*
	cd build/$* && FASTSOCK_DEBUG=$* $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace
	@touch $@

.SECONDARY:

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
