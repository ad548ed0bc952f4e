// Writes an AlignedText by small steps: where origins are not kept, steps gather in a buffer first.
#pragma once

#include <cstring>
#include <string_view>

#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

class ChunkWriter {
 public:
  // Starts `to`. flush() must come last.
  ChunkWriter(const AlignedText& from, AlignedText& to)
      : from_(from), to_(to), tracks_(from.tracks()) {
    to.start_like(from);
  }

  bool tracks() const { return tracks_; }
  std::size_t size() const { return to_.size() + used_; }
  Origin origin(std::size_t at) const { return tracks_ ? from_.origin(at) : Origin{}; }

  void write(std::string_view bytes, Origin origin) {
    if (tracks_ || bytes.size() > kSize - used_) return write_through(bytes, origin);
    copy(bytes);
  }
  // Bytes [begin, end) of the source as they are.
  void keep(std::size_t begin, std::size_t end) {
    const std::size_t size = end - begin;
    if (tracks_ || size > kShort || size > kSize - used_) {
      flush();
      to_.keep(from_, begin, end);
    } else if (from_.size() - begin >= kShort && kSize - used_ >= kShort) {
      // A copy of fixed size is a few instructions; what is too much of it is overwritten.
      std::memcpy(chunk_ + used_, from_.view().data() + begin, kShort);
      used_ += size;
    } else {
      copy(from_.view().substr(begin, size));
    }
  }
  void flush() {
    if (used_ == 0) return;
    to_.write({chunk_, used_}, {});
    used_ = 0;
  }

 private:
  static constexpr std::size_t kSize = 2048, kShort = 32;

  void copy(std::string_view bytes) {
    char* at = chunk_ + used_;
    used_ += bytes.size();
    switch (bytes.size()) {
      case 1:
        *at = bytes[0];
        return;
      case 2:
        std::memcpy(at, bytes.data(), 2);
        return;
      case 3:
        std::memcpy(at, bytes.data(), 2);
        at[2] = bytes[2];
        return;
      default:
        std::memcpy(at, bytes.data(), bytes.size());
    }
  }
  void write_through(std::string_view bytes, Origin origin) {
    flush();
    to_.write(bytes, origin);
  }

  const AlignedText& from_;
  AlignedText& to_;
  bool tracks_;
  std::size_t used_ = 0;
  char chunk_[kSize];
};

}  // namespace llmcore::tokenizer
