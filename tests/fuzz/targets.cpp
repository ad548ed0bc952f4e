#include <cstdlib>

#include "target.h"
#include "tokenizer/errors.h"

namespace llmcore::fuzz {

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> joined;
    for (const auto& part :
         {file_targets(), component_targets(), text_targets(), chunk_targets(), train_targets()}) {
      joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
  }();
  return all;
}

const Target& target_named(std::string_view name) {
  std::string names;
  for (const Target& target : targets()) {
    if (target.name == name) return target;
    names += " " + target.name;
  }
  throw std::invalid_argument("no target " + std::string(name) + "; there are:" + names);
}

}  // namespace llmcore::fuzz

// For libFuzzer, where a compiler has it: LLMCORE_FUZZ_TARGET names the target.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llmcore;
  static const char* const name = std::getenv("LLMCORE_FUZZ_TARGET");
  static const fuzz::Target& target = fuzz::target_named(name == nullptr ? "any_file" : name);
  try {
    target.run({reinterpret_cast<const char*>(data), size});
  } catch (const tokenizer::DataError&) {
  } catch (const tokenizer::ConfigError&) {
  }
  return 0;
}
