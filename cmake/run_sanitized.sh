#!/bin/sh
# Builds the asan (default) or tsan preset, runs the C++ tests on every instruction set, and with
# asan the op checks through Python too.   usage: cmake/run_sanitized.sh [asan|tsan] [python]
set -eu
preset="${1:-asan}"
python="${2:-python3}"
root="$(cd "$(dirname "$0")/.." && pwd)"
cd "$root"
cmake --preset "$preset" -DPython_EXECUTABLE="$(command -v "$python")"
cmake --build --preset "$preset"
ctest --test-dir "build/$preset" --output-on-failure
if [ "$preset" = tsan ]; then
    exit 0 # torch itself is not built with ThreadSanitizer; the C++ tests thread the kernels
fi
# The interpreter is not instrumented: the runtimes come first, and its own leaks are not ours.
libraries="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so)"
for isa in baseline avx2 avx512 avx512_bf16; do
    if ! grep -q "$(echo "$isa" | sed 's/^baseline$/sse2/; s/^avx512$/avx512bw/')" /proc/cpuinfo; then
        echo "skipped: this machine has no $isa"
        continue
    fi
    env LD_PRELOAD="$libraries" ASAN_OPTIONS=detect_leaks=0 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        LLMCORE_CPU_ISA="$isa" PYTHONPATH="$root/build/$preset/python:$root" \
        "$python" -m tests.support.check_op --values
done
