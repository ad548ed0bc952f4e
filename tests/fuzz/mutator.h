// Random changes to an input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace llmcore::fuzz {

// splitmix64: the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
  }
  // In [0, bound); bound > 0.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }

 private:
  std::uint64_t state_;
};

class Mutator {
 public:
  Mutator(const std::vector<std::string>& dictionary, std::size_t max_size)
      : dictionary_(dictionary), max_size_(max_size) {}
  // One to eight changes; `other` is what parts are taken from.
  std::string mutate(std::string input, const std::string& other, Random& random) const;

 private:
  void change(std::string& input, const std::string& other, Random& random) const;
  void change_bytes(std::string& input, Random& random) const;
  void change_number(std::string& input, Random& random) const;
  void change_length(std::string& input, Random& random) const;
  void insert_text(std::string& input, const std::string& other, Random& random) const;
  void use_operands(std::string& input, Random& random) const;

  const std::vector<std::string>& dictionary_;
  std::size_t max_size_;
};

}  // namespace llmcore::fuzz
