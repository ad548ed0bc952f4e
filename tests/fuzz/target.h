// What the fuzzer calls: each target reads one input and throws Broken where a law does not hold.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace llmcore::fuzz {

struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

// Work and memory that an input may take: a constant and so much for each byte.
struct Bounds {
  std::uint64_t steps = 20'000'000, steps_per_byte = 20'000;
  std::size_t bytes = std::size_t{96} << 20, bytes_per_byte = 4096;
};

struct Target {
  std::string name;
  void (*run)(std::string_view input);
  std::vector<std::string> (*seeds)();
  std::vector<std::string> dictionary;
  std::size_t max_size = 4096;
  Bounds bounds = {};
};

// All of them, in the order of the round robin.
const std::vector<Target>& targets();
// Throws std::invalid_argument that lists the names.
const Target& target_named(std::string_view name);

// Those of each file.
std::vector<Target> file_targets();
std::vector<Target> component_targets();
std::vector<Target> text_targets();
std::vector<Target> chunk_targets();
std::vector<Target> train_targets();

inline void require(bool holds, const std::string& law) {
  if (!holds) throw Broken(law);
}

// The parts of an input that holds several, separated by `separator`.
inline std::pair<std::string_view, std::string_view> cut(std::string_view input, char separator) {
  const std::size_t at = input.find(separator);
  if (at == std::string_view::npos) return {input, {}};
  return {input.substr(0, at), input.substr(at + 1)};
}

}  // namespace llmcore::fuzz
