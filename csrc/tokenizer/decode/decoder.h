// From ids back to text, and what is put around the ids of a text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

// A decoder turns token texts into pieces of the final text; the text is the pieces joined.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Rewrites `pieces` (token texts as the vocabulary spells them) in place. Const, thread-safe.
  virtual void decode(std::vector<std::string>& pieces) const = 0;
};

// From a component in the schema of tokenizer.json. Null for JSON null (token texts joined by
// spaces, as in `tokenizers`). Throws DataError that names the field `where`.
std::unique_ptr<Decoder> make_decoder(const Json& component, const std::string& where);

}  // namespace llmcore::tokenizer
