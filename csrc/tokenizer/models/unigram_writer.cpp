#include "tokenizer/models/unigram_writer.h"

#include <algorithm>

namespace llmcore::tokenizer {

int byte_of_token(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  const int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void UnigramWriter::finish() {
  if (run_end_ == 0) return;
  const Text run = text_.subspan(run_begin_, run_end_ - run_begin_);
  const std::uint32_t end = run_end_;
  run_end_ = 0;
  if (rules_.may_spell_token) {
    const std::uint32_t id = trie_.find(as_view(run));
    if (id != ByteTrie::kNoValue) return put(id, end);
  }
  const auto has_id = [&](std::uint8_t byte) {
    return rules_.byte_ids[byte] != ByteTrie::kNoValue;
  };
  if (!rules_.byte_fallback || !std::all_of(run.begin(), run.end(), has_id)) {
    return put(rules_.id, end);
  }
  for (std::size_t i = 0; i < run.size(); ++i) {
    put(rules_.byte_ids[run[i]], static_cast<std::uint32_t>(run_begin_ + i + 1));
  }
}

}  // namespace llmcore::tokenizer
