// One rewrite that leaves most of a text alone: what lies between two changes is copied whole.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/errors.h"
#include "tokenizer/normalize/ascii_run.h"

namespace llmcore::tokenizer {

// A file's own replacements must not let a text grow without bound.
inline std::size_t most_output(std::size_t input_size) {
  return 64 * input_size + (1u << 16);
}
inline void check_growth(std::size_t size, std::size_t input_size) {
  if (size <= most_output(input_size)) return;
  throw DataError("normalizer: may grow a text to 64 times its size, got " + std::to_string(size) +
                  " bytes from " + std::to_string(input_size));
}

class SpanWriter {
 public:
  SpanWriter(const AlignedText& from, AlignedText& to) : from_(from), out_(from, to) {}

  // Bytes [begin, end) become `bytes`, which came from where byte `origin` did.
  void replace(std::size_t begin, std::size_t end, std::string_view bytes, std::size_t origin) {
    if (kept_ < begin) out_.keep(kept_, begin);
    if (!bytes.empty()) out_.write(bytes, out_.origin(origin));
    kept_ = end;
  }
  void replace(std::size_t begin, std::size_t end, std::string_view bytes) {
    replace(begin, end, bytes, begin);
  }
  void drop(std::size_t begin, std::size_t end) { replace(begin, end, {}, begin); }
  // ASCII bytes [begin, end), each through `map`.
  void map(std::size_t begin, std::size_t end, const AsciiMap& map) {
    if (kept_ < begin) out_.keep(kept_, begin);
    write_mapped(from_, out_, begin, end, map);
    kept_ = end;
  }
  std::size_t size() const { return out_.size(); }
  // Copies the rest. No more changes after it.
  void finish() {
    if (kept_ < from_.size()) out_.keep(kept_, from_.size());
    out_.flush();
  }

 private:
  const AlignedText& from_;
  ChunkWriter out_;
  std::size_t kept_ = 0;
};

}  // namespace llmcore::tokenizer
