// The machine's limits alone: what benchmarks/support divides by.
#include "harness.h"

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](llmcore::bench::Bench&) {});
}
