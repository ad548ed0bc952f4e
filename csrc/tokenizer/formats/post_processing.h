// Which special tokens a post-processor puts before and after a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace llmcore::tokenizer {

struct SpecialToken {
  std::string text;
  std::uint32_t id = 0;
};

struct Frame {
  std::optional<SpecialToken> before, after;
};

// TemplateProcessing for `frame`, "null" for an empty one. A pair of texts: A and B framed each,
// but with `is_bert` B has no token before it.
std::string template_of(const Frame& frame, bool is_bert);

// Of TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or a Sequence of them; none
// for another component, or if more than one token stands on a side.
std::optional<Frame> frame_of(const std::string& post_processor);

}  // namespace llmcore::tokenizer
