#!/bin/sh
# Builds the asan (default) or tsan preset and runs the C++ tests on every instruction set.
#   usage: cmake/run_sanitized.sh [asan|tsan] [python]        through Python: make test-asan
set -eu
preset="${1:-asan}"
python="${2:-python3}"
root="$(cd "$(dirname "$0")/.." && pwd)"
cd "$root"
cmake --preset "$preset" -DPython_EXECUTABLE="$(command -v "$python")"
cmake --build --preset "$preset"
ctest --test-dir "build/$preset" --output-on-failure -j 2
