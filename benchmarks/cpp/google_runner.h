// Google Benchmark as the runner of one case, where CMake found the library (`--google`).
#pragma once

#include <string>

#include "harness.h"

namespace llmcore::bench {

bool has_google_runner();
void run_with_google(const std::string& name, const Case& one);

}  // namespace llmcore::bench
