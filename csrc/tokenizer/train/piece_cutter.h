// A tokenizer's normaliser and pre-tokenizer, as training sees a text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/normalize/normalizer.h"
#include "tokenizer/split/known_pattern.h"
#include "tokenizer/split/pre_tokenizer.h"
#include "tokenizer/split/scan_pieces.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

class PieceCutter {
 public:
  // Components in the schema of tokenizer.json. Throws DataError for unknown ones.
  PieceCutter(std::string normalizer, std::string pre_tokenizer);

  const std::string& normalizer() const { return normalizer_json_; }
  const std::string& pre_tokenizer() const { return pre_tokenizer_json_; }
  // Whether one of the hand-written scanners finds the pieces in the text as it is.
  bool scans() const { return pattern_.has_value(); }
  // First position in [from, end) where a text may be cut in two without moving a piece; `end` if
  // there is none, or none is known.
  const std::uint8_t* safe_cut(const std::uint8_t* begin, const std::uint8_t* from,
                               const std::uint8_t* end) const {
    return pattern_ ? next_safe_cut(*pattern_, begin, from, end) : end;
  }

  // Buffers of one thread.
  struct Scratch {
    AlignedText text, other;
    std::vector<Piece> pieces;
  };

  // Calls visit(begin, end, readable_end) for every piece of the text; `readable_end` bounds the
  // bytes behind the piece that may be read.
  template <class Visit>
  void for_each(Text text, Scratch& scratch, Visit&& visit) const {
    const std::uint8_t* const end = text.data() + text.size();
    if (pattern_) {
      for_each_piece(*pattern_, text.data(), end,
                     [&](const std::uint8_t* p, const std::uint8_t* q) { visit(p, q, end); });
      return;
    }
    if (!word_start_.empty()) {
      normalize(text, scratch);
      return for_each_word(scratch.text.text(), visit);
    }
    cut(text, scratch);
    const Text rewritten = scratch.text.text();
    for (const Piece& piece : scratch.pieces) {
      visit(rewritten.data() + piece.begin, rewritten.data() + piece.end,
            rewritten.data() + rewritten.size());
    }
  }

 private:
  void normalize(Text text, Scratch& scratch) const;
  void cut(Text text, Scratch& scratch) const;
  // Pieces that begin with word_start_, and what comes before the first.
  template <class Visit>
  void for_each_word(Text text, Visit&& visit) const {
    const std::string_view view = as_view(text);
    for (std::size_t begin = 0; begin < view.size();) {
      const std::size_t found = view.find(word_start_, begin + 1);
      const std::size_t end = found == std::string_view::npos ? view.size() : found;
      visit(text.data() + begin, text.data() + end, text.data() + text.size());
      begin = end;
    }
  }

  std::string normalizer_json_, pre_tokenizer_json_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::optional<KnownPattern> pattern_;
  std::string word_start_;  // of a pre-tokenizer that begins a piece at every one of these
};

}  // namespace llmcore::tokenizer
