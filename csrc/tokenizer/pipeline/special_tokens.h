// Finds added tokens in text: leftmost, longest, only those that are switched on.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/models/bpe_model.h"

namespace llmcore::tokenizer {

// A stretch of the text: ordinary bytes, or one added token.
struct Segment {
  const std::uint8_t* begin = nullptr;
  const std::uint8_t* end = nullptr;
  bool is_added = false;
  std::uint32_t id = 0;
};

class AddedTokenMatcher {
 public:
  // Looks for the tokens whose `normalized` flag is as given.
  AddedTokenMatcher(const std::vector<AddedToken>& tokens, bool normalized);

  // `enabled[i]` switches the i-th token of the constructor's list.
  void split(const std::uint8_t* begin, const std::uint8_t* end, const std::vector<char>& enabled,
             std::vector<Segment>& segments) const;

 private:
  struct Node {
    std::uint32_t first_child = 0;  // index + 1 of a node, siblings linked; 0 = none
    std::uint32_t sibling = 0;
    std::uint32_t token = 0;  // index + 1 into the constructor's list; 0 = no token ends here
    std::uint8_t byte = 0;
  };
  std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> roots_;  // child of the root by byte
  std::vector<std::uint32_t> ids_;
};

}  // namespace llmcore::tokenizer
