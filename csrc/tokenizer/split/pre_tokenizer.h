// Cuts a normalised text into pre-tokens, the pieces that the model sees one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tokenizer/formats/json.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Bytes [begin, end) of the text, begin < end.
struct Piece {
  std::uint32_t begin = 0, end = 0;
  bool operator==(const Piece&) const = default;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Replaces `pieces` of `text` by finer ones, in order; bytes between pieces are dropped. May
  // rewrite the text (Metaspace), and then the pieces are of the new one. Const and thread-safe,
  // linear in the text. `is_start`: the text begins where the caller's does (not after an added
  // token), for prepend_scheme "first".
  virtual void split(AlignedText& text, std::vector<Piece>& pieces, bool is_start) const = 0;
  // Whether two neighbouring characters alone say if a piece ends between them.
  virtual bool cuts_by_neighbours() const { return false; }
};

// From a component in the schema of tokenizer.json. Null for JSON null. ByteLevel only splits and
// adds the prefix space: this library's byte-level models take bytes, not their stand-ins.
// Throws DataError that names the field `where` and what is wrong.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& component, const std::string& where);

}  // namespace llmcore::tokenizer
