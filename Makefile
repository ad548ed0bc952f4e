# Verbs: quickstart setup check test test-reference test-cpp test-asan test-gpu fuzz fuzz-tokenizers bench
# bench-tokenizers bench-gpu docs clean (`make help` lists them).
# Variables: PYTHON=python3.12  SCALE=full|smoke  DATA=path  OUT=dir  LLMCORE_CUDA=AUTO|ON|OFF
#   PYTEST_ARGS="-k rope"  SECONDS=600 SEED=0 (both fuzzers)  BENCH_SECONDS=0.5 BENCH_THREADS=2 (bench)
# Needs only Python >= 3.11 with its headers, a C++20 g++ and make; everything else is installed into .venv.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
SCALE ?= full
DATA ?=
OUT ?=
LLMCORE_CUDA ?= AUTO
PYTEST_ARGS ?=
export LLMCORE_CUDA
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PY := $(VENV)/bin/python
PIP := $(PY) -m pip
TORCH := torch==2.13.0

# Everything that the installed package is made of: a change here makes the next verb install again.
SOURCES := $(shell find csrc cmake python -type f \
	\( -name '*.py' -o -name '*.h' -o -name '*.cuh' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cmake' \
	-o -name '*.in' -o -name '*.txt' -o -name 'py.typed' \) 2>/dev/null) \
	$(wildcard CMakeLists.txt pyproject.toml)
# Generated tables (*_tables.h) are data and keep their own layout.
CXX_SOURCES := $(shell find csrc benchmarks/cpp tests/csrc -type f ! -name '*_tables.h' \
	\( -name '*.h' -o -name '*.cuh' -o -name '*.cpp' -o -name '*.cu' \) 2>/dev/null)
# clang-tidy reads the rooms that need neither Torch nor Python headers.
TIDY_SOURCES := $(filter csrc/core/%.cpp csrc/cpu/%.cpp csrc/tokenizer/%.cpp csrc/runtime/%.cpp,$(CXX_SOURCES))

VENV_STAMP := $(VENV)/.stamp-venv
TORCH_STAMP := $(VENV)/.stamp-torch
CMAKE_STAMP := $(VENV)/.stamp-cmake
BUILD_DEPS_STAMP := $(VENV)/.stamp-build-deps
INSTALL_STAMP := $(VENV)/.stamp-install-$(LLMCORE_CUDA)
TEST_DEPS_STAMP := $(VENV)/.stamp-test-deps
DEV_DEPS_STAMP := $(VENV)/.stamp-dev-deps
BENCH_DEPS_STAMP := $(VENV)/.stamp-bench-deps

# $(call extra,NAME) prints the requirements of one optional-dependencies list of pyproject.toml, one a line.
requirements = $(PY) -c 'import functools,operator,sys,tomllib; \
	tree = tomllib.load(open("pyproject.toml", "rb")); \
	print("\n".join(functools.reduce(operator.getitem, sys.argv[1].split("/"), tree)))' $(1)

.PHONY: help
help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

# ---------------------------------------------------------------- setup

$(VENV_STAMP):
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo 'llmcore: error: no "$(PYTHON)" found; choose an interpreter with make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; \
	  sys.exit(0 if v >= (3, 11) else "llmcore: error: Python >= 3.11 is needed, but $(PYTHON) is %d.%d; choose another with make PYTHON=/path/to/python3.11" % v[:2])'
	@"$(PYTHON)" -c 'import os, sys, sysconfig; h = os.path.join(sysconfig.get_path("include"), "Python.h"); \
	  sys.exit(0 if os.path.exists(h) else "llmcore: error: the headers of $(PYTHON) are missing (%s); install its -dev package" % h)'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'llmcore: error: $(PYTHON) has no venv module; install its -venv package' >&2; exit 2; }
	@echo 'int main() { return 0; }' | $${CXX:-g++} -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || { \
	  echo "llmcore: error: $${CXX:-g++} with C++20 support is needed (GCC 11 or newer)" >&2; exit 2; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=24.2'
	@touch $@

$(TORCH_STAMP): $(VENV_STAMP)
	$(PIP) install --quiet '$(TORCH)' numpy
	@touch $@

$(BUILD_DEPS_STAMP): pyproject.toml $(TORCH_STAMP)
	@$(call requirements,build-system/requires) > $(VENV)/build-requires.txt
	$(PIP) install --quiet -r $(VENV)/build-requires.txt cmake ninja
	@touch $@

# All that C++ without Torch and Python needs.
$(CMAKE_STAMP): $(VENV_STAMP)
	$(PIP) install --quiet cmake ninja
	@touch $@

# One install for all verbs; Torch is already there, so no build isolation and no second download.
$(INSTALL_STAMP): $(BUILD_DEPS_STAMP) $(SOURCES)
	@rm -f $(VENV)/.stamp-install-*
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PIP) install --quiet --no-build-isolation \
	  --config-settings=cmake.define.LLMCORE_CUDA=$(LLMCORE_CUDA) .
	@touch $@

$(TEST_DEPS_STAMP): pyproject.toml $(TORCH_STAMP)
	@$(call requirements,project/optional-dependencies/test) > $(VENV)/test-requires.txt
	$(PIP) install --quiet -r $(VENV)/test-requires.txt
	@touch $@

$(BENCH_DEPS_STAMP): pyproject.toml $(TORCH_STAMP)
	@$(call requirements,project/optional-dependencies/bench) > $(VENV)/bench-requires.txt
	$(PIP) install --quiet -r $(VENV)/bench-requires.txt
	@touch $@

$(DEV_DEPS_STAMP): pyproject.toml $(TORCH_STAMP)
	@$(call requirements,project/optional-dependencies/dev) > $(VENV)/dev-requires.txt
	$(PIP) install --quiet -r $(VENV)/dev-requires.txt
	@touch $@

.PHONY: setup
setup: $(INSTALL_STAMP) ## create .venv, build and install llmcore into it

# ---------------------------------------------------------------- the main job

.PHONY: quickstart
quickstart: setup ## from nothing to a chat model (SCALE=smoke is the same in a minute; DATA=path takes your text)
	$(VENV)/bin/llmcore quickstart --scale $(SCALE) $(if $(DATA),--data '$(DATA)') $(if $(OUT),--out '$(OUT)')

# ---------------------------------------------------------------- promises

# $(call tidy,FILES,OPTIONS). The analyzer of paths takes three times as long as all other checks: the tokenizers,
# which run under the sanitizers and a fuzzer, go through it with DEEP=1 only.
tidy = @test -z '$(1)' || printf '%s\n' $(1) | xargs -P 2 -n 4 sh -c \
	  '$(VENV)/bin/clang-tidy --quiet $(2) "$$@" -- -std=c++20 -Icsrc -DLLMCORE_ISA=baseline' tidy

.PHONY: check
check: setup $(DEV_DEPS_STAMP) $(TEST_DEPS_STAMP) ## format, lint, types, layers, C++ format and clang-tidy
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy python/llmcore
	$(VENV)/bin/lint-imports
	@test -z '$(CXX_SOURCES)' || $(VENV)/bin/clang-format --dry-run --Werror $(CXX_SOURCES)
	$(call tidy,$(filter-out csrc/tokenizer/%,$(TIDY_SOURCES)),)
	$(call tidy,$(filter csrc/tokenizer/%,$(TIDY_SOURCES)),$(if $(DEEP),,--checks=-clang-analyzer-*))

.PHONY: test
test: setup $(TEST_DEPS_STAMP) $(DEV_DEPS_STAMP) ## run the test suite
	$(PY) -m pytest $(PYTEST_ARGS)

.PHONY: test-gpu
test-gpu: setup $(TEST_DEPS_STAMP) ## run the tests that need a GPU
	$(PY) -m pytest -m 'gpu or sm90' $(PYTEST_ARGS)

.PHONY: test-reference
test-reference: setup $(TEST_DEPS_STAMP) $(DEV_DEPS_STAMP) ## run the test suite with every op forced to its reference
	$(PY) -m pytest --backend reference $(PYTEST_ARGS)

# The sanitizer build has a prefix of its own; Python itself is not sanitized, so the runtime is
# preloaded and leaks of the interpreter are not looked for. An absurd size is an error, no report.
ASAN_DIR := build/asan
ASAN_BUILD = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --preset asan -DPython_EXECUTABLE="$(CURDIR)/$(PY)" && \
  PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build --preset asan
ASAN_RUN = LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libubsan.so)" \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=8192 \
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONPATH="$(CURDIR)/$(ASAN_DIR)/python:$(CURDIR)"
.PHONY: test-asan
test-asan: setup $(TEST_DEPS_STAMP) ## run tests/ops and tests/tokenizers under ASan and UBSan (long)
	$(ASAN_BUILD)
	$(ASAN_RUN) $(PY) -m pytest tests/ops tests/tokenizers -m 'not compile and not gpu' $(PYTEST_ARGS)

.PHONY: test-cpp
test-cpp: setup ## run the C++ tests under ASan and UBSan, then under TSan
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake/run_sanitized.sh asan python
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake/run_sanitized.sh tsan python

SECONDS ?= 600
SEED ?= 0
.PHONY: fuzz
fuzz: setup $(TEST_DEPS_STAMP) ## call every op with broken arguments under ASan and UBSan (SECONDS=600 SEED=0)
	$(ASAN_BUILD)
	$(ASAN_RUN) $(PY) -m tests.fuzz.fuzz_ops --seconds $(SECONDS) --seed $(SEED)

.PHONY: fuzz-tokenizers
fuzz-tokenizers: $(CMAKE_STAMP) ## coverage-guided fuzzing of the tokenizers' C++ under ASan and UBSan (SECONDS=600 SEED=0)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake -G Ninja -S tests/fuzz -B build/fuzz >/dev/null
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build build/fuzz
	ASAN_OPTIONS=handle_abort=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 build/fuzz/fuzz_tokenizers \
	  --seconds $(SECONDS) --seed $(SEED) --out build/fuzz/findings

# ---------------------------------------------------------------- numbers

# Every benchmark writes its rows to $(BENCH_OUT)/parts; the summary makes one table and one JSON of
# them. BENCH_SECONDS limits each group of rows, so BENCH_SECONDS=0.2 is a quick look.
BENCH_OUT ?= runs/bench
BENCH_SECONDS ?= 0.5
BENCH_THREADS ?= $(shell nproc)
# The tokenizers have a verb and a table of their own.
BENCHMARKS := $(filter-out benchmarks/support/% benchmarks/tokenizers/%,$(sort $(wildcard benchmarks/*/bench_*.py)))
CXX_BENCHMARKS := $(sort $(basename $(notdir $(wildcard benchmarks/cpp/bench_*.cpp))))
BENCH_OPTIONS = --seconds $(BENCH_SECONDS) --threads $(BENCH_THREADS)
.PHONY: bench
bench: setup $(TEST_DEPS_STAMP) ## run every benchmark on the CPU, in C++ and in Python, and print one table
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --preset bench -DPython_EXECUTABLE="$(CURDIR)/$(PY)" >/dev/null
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cmake --build --preset bench --target $(CXX_BENCHMARKS)
	@rm -rf $(BENCH_OUT)/parts && mkdir -p $(BENCH_OUT)/parts
	@for name in $(CXX_BENCHMARKS); do echo "== $$name"; \
	  build/bench/benchmarks/cpp/$$name $(BENCH_OPTIONS) --json $(BENCH_OUT)/parts/cpp_$$name.json || exit 1; done
	@for file in $(BENCHMARKS); do echo "== $$file"; \
	  PYTHONPATH=. $(PY) "$$file" $(BENCH_OPTIONS) --json $(BENCH_OUT)/parts/$$(basename "$$file" .py).json || exit 1; done
	@$(PY) benchmarks/summary.py $(BENCH_OUT)/parts --out $(BENCH_OUT)

.PHONY: bench-tokenizers
bench-tokenizers: setup $(TEST_DEPS_STAMP) $(BENCH_DEPS_STAMP) ## time the tokenizers beside their peers and print the targets table
	PYTHONPATH=. $(PY) benchmarks/tokenizers/bench_tokenizers.py $(BENCH_OPTIONS) --json $(BENCH_OUT)/tokenizers.json

OP_BENCHMARKS := $(filter benchmarks/ops/%,$(BENCHMARKS))
.PHONY: bench-gpu
bench-gpu: setup $(TEST_DEPS_STAMP) ## run the op benchmarks on a CUDA GPU
	@for file in $(OP_BENCHMARKS); do echo "== $$file"; PYTHONPATH=. $(PY) "$$file" --device cuda || exit 1; done

.PHONY: docs
docs: setup $(TEST_DEPS_STAMP) ## check the documentation: links resolve and the README's Python runs
	$(PY) -m pytest tests/architecture/test_docs.py $(PYTEST_ARGS)

.PHONY: clean
clean: ## remove everything that make created, except runs/
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
