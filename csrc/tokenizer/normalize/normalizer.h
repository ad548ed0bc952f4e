// Rewrites a text before it is split: Unicode normal forms, case, accents, SentencePiece's
// charsmap.
#pragma once

#include <memory>

#include "tokenizer/formats/json.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Rewrites `from` into `to` (which it starts itself with start_like). Const and thread-safe.
  // Linear in the text. Ill-formed UTF-8 bytes pass unchanged.
  virtual void apply(const AlignedText& from, AlignedText& to) const = 0;
};

// From a component in the schema of tokenizer.json ({"type": "NFC"}, {"type": "Sequence", ...}).
// Null for JSON null. Throws DataError that names the field `where` and what is wrong.
std::unique_ptr<Normalizer> make_normalizer(const Json& component, const std::string& where);

}  // namespace llmcore::tokenizer
