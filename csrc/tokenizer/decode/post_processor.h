// The special tokens around a text or a pair of texts, as tokenizer.json describes them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

// Where a token came from, in the caller's units; {0, 0} for one that was put in.
struct TokenSpan {
  std::uint32_t begin = 0, end = 0;
  bool operator==(const TokenSpan&) const = default;
};

// Some tokens of the result, in order. The other arrays are as long as `ids`, but `spans` is empty
// unless has_spans.
struct TokenRun {
  std::vector<std::uint32_t> ids, type_ids;
  std::vector<std::uint8_t> is_special;  // put in by the post-processor
  std::vector<TokenSpan> spans;
  bool has_spans = false;
  std::string_view source = {};  // whose bytes the spans count; empty: they count characters
};

// Text that an id stands for; asked for where spans are trimmed.
using TokenTexts = std::function<std::string_view(std::uint32_t)>;

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  // One run per text goes in, the runs of the result come out. Const, thread-safe.
  virtual void apply(std::vector<TokenRun>& runs, bool add_special_tokens,
                     const TokenTexts& texts) const = 0;
};

// From a component in the schema of tokenizer.json; null for JSON null. Throws DataError that names
// the field `where`: also for a special token without ids, or with an id that is not below
// `vocab_size`.
std::unique_ptr<PostProcessor> make_post_processor(const Json& component, const std::string& where,
                                                   std::size_t vocab_size);

// The ids and spans of one or two texts as one run. Type ids are 0 and 1 unless the processor,
// which may be null, says otherwise.
TokenRun post_process(const PostProcessor* processor, TokenRun first,
                      std::optional<TokenRun> second, bool add_special_tokens,
                      const TokenTexts& texts);

// Ids that the processor puts before and after a single text, whatever the text is: none if it does
// more than that.
struct SpecialFrame {
  std::vector<std::uint32_t> before, after;
};
std::optional<SpecialFrame> single_frame(const PostProcessor* processor);

}  // namespace llmcore::tokenizer
