// Rewrites a text before it is split: Unicode normal forms, case, accents, SentencePiece's
// charsmap.
#pragma once

#include <cstdint>
#include <memory>

#include "tokenizer/formats/json.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// What a normaliser makes of a text around a U+0020, where x ends in a printable ASCII character.
enum class SpaceCut : std::uint8_t {
  kNone,       // nothing can be said
  kKept,       // of "x y" what it makes of "x", then what it makes of " y"
  kDropped,    // of "x y" what it makes of "x", then what it makes of "y"; y begins in 0x20-0x7E
  kCollapsed,  // as kKept, and the front of a text may have any number of spaces, or none
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Rewrites `from` into `to` (which it starts itself with start_like). Const and thread-safe.
  // Linear in the text. Ill-formed UTF-8 bytes pass unchanged.
  virtual void apply(const AlignedText& from, AlignedText& to) const = 0;
  virtual SpaceCut space_cut() const { return SpaceCut::kNone; }
};

// From a component in the schema of tokenizer.json ({"type": "NFC"}, {"type": "Sequence", ...}).
// Null for JSON null. Throws DataError that names the field `where` and what is wrong.
std::unique_ptr<Normalizer> make_normalizer(const Json& component, const std::string& where);

}  // namespace llmcore::tokenizer
