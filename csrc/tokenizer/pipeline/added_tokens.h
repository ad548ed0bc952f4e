// Finds added tokens in a text as Hugging Face tokenizers does: leftmost, longest, then the flags
// single_word, lstrip and rstrip.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Bytes [begin, end) of a text: ordinary text, or one added token.
struct AddedSpan {
  std::size_t begin = 0, end = 0;
  bool is_added = false;
  std::uint32_t id = 0;
};

// Whether a special token at bytes [begin, end) of a text is ordinary text there.
using IsGuarded = std::function<bool(std::size_t begin, std::size_t end)>;

class AddedTokens {
 public:
  // One bound for all tokens keeps the search linear in the text.
  static constexpr std::size_t kMaxBytes = 1024;

  // `contents[i]` is how token i is spelled in the texts to search; an empty one is never found.
  // Throws DataError for a token of more than kMaxBytes.
  AddedTokens(const std::vector<AddedTokenSpec>& tokens, const std::vector<std::string>& contents);

  bool empty() const { return nodes_.size() == 1; }
  // Appends spans that cover `text` from front to back. `enabled[i]` lets token i be found.
  void split(Text text, const std::vector<char>& enabled, std::vector<AddedSpan>& spans,
             const IsGuarded& is_guarded = {}) const;

 private:
  struct Node {
    std::uint32_t first_child = 0;  // 0: none
    std::uint32_t sibling = 0;
    std::uint32_t token = 0;  // index + 1 of the token that ends here; 0: none
    std::uint8_t byte = 0;
  };
  void add(const std::string& content, std::uint32_t token);
  std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;
  // Index + 1 of the longest enabled token at `at`, whose end goes to `end`; 0: none.
  std::uint32_t longest_at(Text text, std::size_t at, const std::vector<char>& enabled,
                           const IsGuarded& is_guarded, std::size_t& end) const;
  void add_span(Text text, std::uint32_t token, std::size_t begin, std::size_t end,
                std::size_t& pending, std::vector<AddedSpan>& spans) const;

  std::vector<AddedTokenSpec> tokens_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> roots_;  // child of the root by byte
};

}  // namespace llmcore::tokenizer
