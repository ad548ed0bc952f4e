// A text on its way to the model: the bytes as rewritten so far, and which bytes of the caller's
// text each of them came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmcore::tokenizer {

using Text = std::span<const std::uint8_t>;

inline Text as_text(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string_view as_view(Text t) {
  return {reinterpret_cast<const char*>(t.data()), t.size()};
}

// Bytes [begin, end) of the caller's text.
struct Origin {
  std::uint32_t begin = 0, end = 0;
  bool operator==(const Origin&) const = default;
};

// One rewrite reads `AlignedText` a and writes `AlignedText` b through this interface, from front
// to back. Where nobody asked for offsets the origins are not kept, and only bytes are copied.
class AlignedText {
 public:
  // The caller's text itself. `tracks`: keep origins.
  void start(Text text, bool tracks) {
    bytes_.assign(reinterpret_cast<const char*>(text.data()), text.size());
    tracks_ = tracks;
    origins_.clear();
    if (!tracks) return;
    origins_.reserve(text.size());
    // All bytes of one character share its span, as in Hugging Face tokenizers.
    for (std::size_t i = 0; i < text.size();) {
      std::size_t j = i + 1;
      while (j < text.size() && j - i < 4 && (text[j] & 0xC0) == 0x80) ++j;
      origins_.insert(origins_.end(), j - i,
                      {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j)});
      i = j;
    }
  }
  // Empty, tracking as `source` does.
  void start_like(const AlignedText& source) {
    bytes_.clear();
    origins_.clear();
    tracks_ = source.tracks_;
    bytes_.reserve(source.bytes_.size() + source.bytes_.size() / 4 + 16);
  }

  // Copies bytes [begin, end) of `source`.
  void keep(const AlignedText& source, std::size_t begin, std::size_t end) {
    bytes_.append(source.bytes_, begin, end - begin);
    if (tracks_) {
      origins_.insert(origins_.end(), source.origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                      source.origins_.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }
  // Writes `bytes`, all of which came from `origin`.
  void write(std::string_view bytes, Origin origin) {
    bytes_.append(bytes);
    if (tracks_) origins_.insert(origins_.end(), bytes.size(), origin);
  }

  Text text() const { return as_text(bytes_); }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool tracks() const { return tracks_; }
  // Origin of byte i; only where tracks().
  Origin origin(std::size_t i) const { return origins_[i]; }
  // Where bytes [begin, end) came from, begin < end; {} where nothing is tracked.
  Origin origin(std::size_t begin, std::size_t end) const {
    return tracks_ ? Origin{origins_[begin].begin, origins_[end - 1].end} : Origin{};
  }
  void swap(AlignedText& other) noexcept {
    bytes_.swap(other.bytes_);
    origins_.swap(other.origins_);
    std::swap(tracks_, other.tracks_);
  }

 private:
  std::string bytes_;
  std::vector<Origin> origins_;
  bool tracks_ = false;
};

}  // namespace llmcore::tokenizer
