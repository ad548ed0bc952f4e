#include "mutator.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "coverage.h"

namespace llmcore::fuzz {
namespace {

constexpr std::array<std::uint64_t, 16> kIntegers = {
    0,      1,       0x7F,       0x80,       0xFF,       0x100,       0x7FFF,    0x8000,
    0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, INT64_MAX, UINT64_MAX};
constexpr std::array<std::string_view, 12> kNumberTexts = {
    "0",          "1",          "-1",         "255",   "1000", "2097151",
    "2147483648", "4294967295", "4294967296", "1e308", "-0.0", "18446744073709551616"};

// A run that starts anywhere, short more often than long.
std::pair<std::size_t, std::size_t> pick_run(std::size_t size, Random& random) {
  const std::size_t begin = random.below(size);
  const std::size_t most = size - begin;
  const std::size_t length =
      1 + random.below(random.below(4) == 0 ? most : std::min<std::size_t>(most, 8));
  return {begin, length};
}

}  // namespace

std::string Mutator::mutate(std::string input, const std::string& other, Random& random) const {
  const std::size_t changes = std::size_t{1} << random.below(4);
  for (std::size_t i = 0; i < changes; ++i) change(input, other, random);
  if (input.size() > max_size_) input.resize(max_size_);
  return input;
}

void Mutator::change(std::string& input, const std::string& other, Random& random) const {
  if (input.empty()) input += static_cast<char>(random.next());
  switch (random.below(8)) {
    case 0:
    case 1:
      return change_bytes(input, random);
    case 2:
      return change_number(input, random);
    case 3:
    case 4:
      return change_length(input, random);
    case 5:
    case 6:
      return insert_text(input, other, random);
    default:
      return use_operands(input, random);
  }
}

void Mutator::change_bytes(std::string& input, Random& random) const {
  char& byte = input[random.below(input.size())];
  switch (random.below(4)) {
    case 0:
      byte = static_cast<char>(byte ^ (1u << random.below(8)));
      return;
    case 1:
      byte = static_cast<char>(random.next());
      return;
    case 2:
      byte = static_cast<char>(byte + static_cast<int>(random.below(9)) - 4);
      return;
    default:
      std::swap(byte, input[random.below(input.size())]);
  }
}

void Mutator::change_number(std::string& input, Random& random) const {
  if (random.below(2) == 0) {  // in binary, little end first
    const std::size_t width = std::min(input.size(), std::size_t{1} << random.below(4));
    const std::uint64_t value = kIntegers[random.below(kIntegers.size())];
    std::memcpy(input.data() + random.below(input.size() - width + 1), &value, width);
    return;
  }
  const std::size_t begin = input.find_first_of("0123456789", random.below(input.size()));
  if (begin == std::string::npos) return;
  const std::size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
  input.replace(begin, end - begin, kNumberTexts[random.below(kNumberTexts.size())]);
}

void Mutator::change_length(std::string& input, Random& random) const {
  const auto [begin, length] = pick_run(input.size(), random);
  const std::string run = input.substr(begin, length);
  switch (random.below(4)) {
    case 0:
      input.erase(begin, length);
      return;
    case 1:
      input.insert(random.below(input.size() + 1), run);
      return;
    case 2: {  // many times over: what makes slow code slow
      std::string many;
      const std::size_t times = std::size_t{2} << random.below(random.below(8) == 0 ? 12 : 4);
      for (std::size_t i = 0; i < times && many.size() + input.size() < max_size_; ++i) many += run;
      input.insert(begin, many);
      return;
    }
    default:
      input.resize(begin + length);
  }
}

void Mutator::insert_text(std::string& input, const std::string& other, Random& random) const {
  std::string text;
  if (!dictionary_.empty() && random.below(3) > 0) {
    text = dictionary_[random.below(dictionary_.size())];
  } else if (!other.empty()) {
    const auto [begin, length] = pick_run(other.size(), random);
    text = other.substr(begin, length);
  }
  const std::size_t at = random.below(input.size());
  if (random.below(2) == 0) {
    input.insert(at, text);
  } else {
    input.replace(at, text.size(), text);
  }
}

// Where the input holds one side of a comparison that failed, the other side is put there.
void Mutator::use_operands(std::string& input, Random& random) const {
  Operands operands = coverage().operands(random.below(64));
  if (operands.size == 0) return change_bytes(input, random);
  if (random.below(2) == 0) std::swap(operands.left, operands.right);
  for (std::size_t width = operands.size; width > 0; width /= 2) {
    const std::string_view from(reinterpret_cast<const char*>(&operands.left), width);
    const std::size_t start = random.below(input.size());
    std::size_t at = input.find(from, start);
    if (at == std::string::npos) at = input.find(from);
    if (at == std::string::npos) continue;
    std::memcpy(input.data() + at, &operands.right, width);
    return;
  }
}

}  // namespace llmcore::fuzz
