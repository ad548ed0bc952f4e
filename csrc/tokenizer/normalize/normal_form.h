// The four Unicode normal forms (UAX #15) with the alignments of Hugging Face tokenizers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tokenizer/normalize/char_data.h"
#include "tokenizer/normalize/normalizer.h"

namespace llmcore::tokenizer {

struct Form {
  bool compatible = false, composes = false;
  CharFlag unsafe() const {
    if (composes) return compatible ? kNfkcUnsafe : kNfcUnsafe;
    return compatible ? kNfkdUnsafe : kNfdUnsafe;
  }
};

struct AlignedChar {
  std::uint32_t c = 0;
  Origin origin;
};

// Normalizes one segment at a time: characters that no form connects with what is around them.
// O(n log n) in the segment.
class SegmentNormalizer {
 public:
  explicit SegmentNormalizer(Form form) : form_(form) {}

  void clear() { source_.clear(); }
  bool empty() const { return source_.empty(); }
  void add(std::uint32_t c, Origin origin) { source_.push_back({c, origin}); }
  // The characters added since clear(), normalized; they live until the next call.
  std::span<const AlignedChar> finish();

 private:
  // `change` as in the reference: 1 a character that was not there, 0 one that replaces the next
  // of the source, -n one that replaces the next 1 + n.
  struct Unit {
    std::uint32_t c;
    std::int32_t change;
    std::uint8_t combining_class;
  };

  void decompose();
  void reorder();
  void compose();
  void append(std::uint32_t c, std::int32_t change) {
    units_.push_back({c, change, char_record(c).combining_class});
  }

  Form form_;
  std::vector<AlignedChar> source_, result_;
  std::vector<Unit> units_;
};

std::unique_ptr<Normalizer> make_normal_form(Form form);

}  // namespace llmcore::tokenizer
