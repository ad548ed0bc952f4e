#include "tokenizer/models/unigram_writer.h"

#include <algorithm>

namespace llmcore::tokenizer {

void UnigramWriter::finish() {
  if (run_end_ == 0) return;
  const Text run = text_.subspan(run_begin_, run_end_ - run_begin_);
  const std::uint32_t end = run_end_;
  run_end_ = 0;
  if (rules_.may_spell_token) {
    const std::uint32_t id = trie_.find(as_view(run));
    if (id != ByteTrie::kNoValue) return put_unscored(id, end);
  }
  const auto has_id = [&](std::uint8_t byte) {
    return rules_.byte_ids[byte] != ByteTrie::kNoValue;
  };
  if (!rules_.byte_fallback || !std::all_of(run.begin(), run.end(), has_id)) {
    return put_unscored(rules_.id, end);
  }
  for (std::size_t i = 0; i < run.size(); ++i) {
    put_unscored(rules_.byte_ids[run[i]], static_cast<std::uint32_t>(run_begin_ + i + 1));
  }
}

}  // namespace llmcore::tokenizer
