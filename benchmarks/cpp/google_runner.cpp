// The harness's own runner is the default everywhere: only it times a case and its limit in the
// same rounds. Google Benchmark serves those who want its statistics or its output formats.
#include "google_runner.h"

#ifdef LLMCORE_GOOGLE_BENCHMARK
#include <benchmark/benchmark.h>
#endif

namespace llmcore::bench {

#ifdef LLMCORE_GOOGLE_BENCHMARK

bool has_google_runner() {
  return true;
}

void run_with_google(const std::string& name, const Case& one) {
  static const bool ready = [] {
    int argc = 1;
    char program[] = "bench", *argv[] = {program, nullptr};
    benchmark::Initialize(&argc, argv);
    return true;
  }();
  (void)ready;
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark(name.c_str(), [&one](benchmark::State& state) {
    for (auto _ : state) one.run();
    const auto per_iteration = benchmark::Counter::kIsIterationInvariantRate;
    if (one.bytes > 0) state.counters["bytes/s"] = benchmark::Counter(one.bytes, per_iteration);
    if (one.flops > 0) state.counters["flop/s"] = benchmark::Counter(one.flops, per_iteration);
  })->UseRealTime();
  benchmark::RunSpecifiedBenchmarks();
}

#else

bool has_google_runner() {
  return false;
}

void run_with_google(const std::string&, const Case&) {}

#endif

}  // namespace llmcore::bench
