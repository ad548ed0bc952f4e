#include "tokenizer/normalize/charsmap.h"

#include <algorithm>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

// RFC 4648, padding required.
std::string decode_base64(std::string_view text, const std::string& where) {
  if (text.size() % 4 != 0) {
    throw DataError(where + ": must be base64, got " + std::to_string(text.size()) + " characters");
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    static constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const bool is_padding = i >= text.size() - padding;
    const std::size_t digit = is_padding ? 0 : kDigits.find(text[i]);
    if (digit == std::string_view::npos) {
      throw DataError(where + ": must be base64, got another character at " + std::to_string(i));
    }
    word = word << 6 | static_cast<std::uint32_t>(digit);
    if (i % 4 == 3) {
      for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 0xFF);
      word = 0;
    }
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= std::uint32_t{static_cast<std::uint8_t>(bytes[at + i])} << (8 * i);
  }
  return value;
}

std::size_t offset_of(std::uint32_t unit) {
  return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

}  // namespace

Charsmap Charsmap::from_base64(std::string_view base64, const std::string& where) {
  Charsmap map;
  const std::string bytes = decode_base64(base64, where);
  if (bytes.empty()) return map;
  const std::size_t size = bytes.size() < 4 ? 0 : read_u32(bytes, 0);
  if (size == 0 || size % 4 != 0 || size > bytes.size() - 4) {
    throw DataError(where + ": must hold a trie of 4-byte units and its size, got " +
                    std::to_string(bytes.size()) + " bytes and the size " + std::to_string(size));
  }
  for (std::size_t i = 0; i < size; i += 4) map.units_.push_back(read_u32(bytes, 4 + i));
  map.pool_ = bytes.substr(4 + size);
  if (valid_utf8_length(map.pool_) != map.pool_.size()) {
    throw DataError(where + ": replacements must be UTF-8, got an invalid byte at " +
                    std::to_string(4 + size + valid_utf8_length(map.pool_)));
  }
  map.index_characters();
  return map;
}

std::size_t Charsmap::root() const {
  return units_.empty() ? 0 : offset_of(units_[0]);
}

bool Charsmap::step(std::size_t& node, std::uint8_t b, bool& ends) const {
  node ^= b;
  if (node >= units_.size()) return false;
  const std::uint32_t unit = units_[node];
  // A set sign bit marks a value, which no byte leads to.
  if ((unit & (1u << 31 | 0xFF)) != b) return false;
  node ^= offset_of(unit);
  ends = (unit >> 8 & 1) != 0 && node < units_.size();
  return true;
}

Charsmap::Match Charsmap::find(Text text, std::size_t at, bool longest) const {
  const std::size_t end = std::min(text.size(), at + kLongestKey);
  std::size_t node = root(), length = 0;
  std::uint32_t value = 0;
  for (std::size_t i = at; i < end && text[i] != 0; ++i) {
    bool ends = false;
    if (!step(node, text[i], ends)) break;
    if (!ends) continue;
    length = i + 1 - at;
    value = units_[node] & 0x7FFFFFFF;
    if (!longest) break;
  }
  if (length == 0 || value >= pool_.size()) return {};
  const std::string_view rest = std::string_view(pool_).substr(value);
  return {length, rest.substr(0, rest.find('\0'))};
}

void Charsmap::index_characters() {
  for (Bits* bits : {&starts_, &rewrites_, &continues_}) bits->assign(0x10000 / 64, 0);
  std::size_t num_steps = 0;
  std::string bytes;
  for (std::uint32_t c = 0; c < 0x10000; ++c) {
    bytes.clear();
    append_utf8(bytes, c);
    std::size_t node = root();
    bool alive = true, ends = false, rewrites = false;
    for (std::size_t i = 0; alive && i < bytes.size(); ++i) {
      alive = step(node, static_cast<std::uint8_t>(bytes[i]), ends);
      rewrites |= alive && ends;
    }
    if (alive || rewrites) set(starts_, c);
    if (rewrites) set(rewrites_, c);
    if (alive) index_second_characters(node, num_steps);
    if (c >= 128) continue;
    ascii_starts_[c] = rewrites;
    for (std::uint8_t b = 1; alive && b < 128; ++b) {
      std::size_t next = node;
      if (step(next, b, ends)) ascii_starts_[c] = true;
    }
  }
}

// Marks what may follow the character that leads to `node`. A trie with too many ways on, which no
// real one has, is taken to allow all.
void Charsmap::index_second_characters(std::size_t node, std::size_t& num_steps) {
  constexpr std::size_t kMostSteps = 4'000'000;
  if (num_steps > kMostSteps) return;
  bool ends = false;
  for (unsigned b = 1; b < 256; ++b) {
    std::size_t next = node;
    ++num_steps;
    if (!step(next, static_cast<std::uint8_t>(b), ends)) continue;
    if (b < 0x80 || ends) {
      for (unsigned second = 0; second < (b < 0x80 ? 1 : 256); ++second) {
        set(continues_, b << 8 | second);
      }
      continue;
    }
    for (unsigned second = 0x80; second < 0xC0; ++second) {
      std::size_t last = next;
      ++num_steps;
      if (step(last, static_cast<std::uint8_t>(second), ends)) set(continues_, b << 8 | second);
    }
  }
  if (num_steps > kMostSteps) continues_.assign(continues_.size(), ~std::uint64_t{0});
}

bool Charsmap::goes_on_in_ascii() const {
  if (units_.empty()) return false;
  // A unit holds the byte that leads to it, which tells the only node that it can be a child of:
  // each node's children in a list, so that the walk tries no byte in vain.
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::vector<std::uint32_t> first_child(units_.size() + 256, kNone), sibling(units_.size());
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const std::uint32_t byte = units_[i] & 0xFF;
    if (byte == 0 || units_[i] >> 31 != 0) continue;
    sibling[i] = std::exchange(first_child[i ^ byte], static_cast<std::uint32_t>(i));
  }
  // Left sides share their ends, so a node is met on many ways.
  std::vector<bool> is_met(first_child.size(), false);
  std::vector<std::size_t> nodes = {root()};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] >= first_child.size()) continue;
    for (std::uint32_t child = first_child[nodes[i]]; child != kNone; child = sibling[child]) {
      if (i > 0 && (units_[child] & 0xFF) < 0x80) return true;
      const std::size_t next = child ^ offset_of(units_[child]);
      if (next >= is_met.size() || is_met[next]) continue;
      is_met[next] = true;
      nodes.push_back(next);
    }
  }
  return false;
}

}  // namespace llmcore::tokenizer
