// Rewrites a text before it is split: Unicode normal forms, case, accents, SentencePiece's
// charsmap.
#pragma once

#include <cstdint>
#include <memory>

#include "tokenizer/formats/json.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// What a normaliser makes of a text in two parts, where the first ends in a printable ASCII
// character and the second begins in printable ASCII or white space.
enum class SpaceCut : std::uint8_t {
  kNone,  // nothing can be said
  kKept,  // what it makes of the first, then what it makes of the second
  // The same, but whatever text it is given it puts a mark before it, which stands for a space. Of
  // a second part without a space, all but the mark.
  kDropped,    // of one with a space, what it makes of the part behind that if this is 0x20-0x7E
  kCollapsed,  // of one with white space, what it makes of the part as it is
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Rewrites `from` into `to` (which it starts itself with start_like). Const and thread-safe.
  // Linear in the text. Ill-formed UTF-8 bytes pass unchanged.
  virtual void apply(const AlignedText& from, AlignedText& to) const = 0;
  virtual SpaceCut space_cut() const { return SpaceCut::kNone; }
  // Whether it puts spaces around each of U+5000-U+9FFF, whatever is beside it.
  virtual bool pads_ideographs() const { return false; }
};

// From a component in the schema of tokenizer.json ({"type": "NFC"}, {"type": "Sequence", ...}).
// Null for JSON null. Throws DataError that names the field `where` and what is wrong.
std::unique_ptr<Normalizer> make_normalizer(const Json& component, const std::string& where);

}  // namespace llmcore::tokenizer
