// Philox4x32-10, the counter-based generator of Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3", table 2. Not for csrc/cpu: inline code there must stay in its own namespace.
//
// Layout that llmcore's draws share: the key is the seed (low word, high word). Word 3 of the
// counter is the purpose, so that two purposes with one seed never read the same numbers; words 0
// to 2 belong to the purpose. Sampling: (position low, position high, 0, purpose 0), of which words
// 0 and 1 make one number of 53 bits.
#pragma once

#include <array>
#include <cstdint>

namespace llmcore {

using PhiloxWords = std::array<uint32_t, 4>;

constexpr uint32_t kSamplingPurpose = 0;

constexpr PhiloxWords philox4x32(PhiloxWords counter, uint64_t seed) {
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(p0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// 53 random bits for the pair alone.
constexpr uint64_t sampling_bits(uint64_t seed, uint64_t position) {
  const PhiloxWords words = philox4x32(
      {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, kSamplingPurpose},
      seed);
  return ((uint64_t{words[1]} << 32) | words[0]) >> 11;
}

}  // namespace llmcore
