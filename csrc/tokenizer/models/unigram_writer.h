// From the steps of a Unigram path to ids: runs of unknowns are fused, or spelled in bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "tokenizer/id_buffer.h"
#include "tokenizer/models/byte_trie.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// Token `id` of bytes [begin, end).
struct PathStep {
  std::uint32_t id = 0, begin = 0, end = 0;
};

struct UnknownRules {
  std::uint32_t id = ByteTrie::kNoValue;
  bool fuse = true, byte_fallback = false;
  bool may_spell_token = false;               // a run whose text is a token is that token
  std::array<std::uint32_t, 256> byte_ids{};  // kNoValue: none
};

// A path as its ids, and what unknowns add: a step with a score whose token is not written, and a
// token written for steps that came before. Ids are below both flags.
inline constexpr std::uint32_t kUnwritten = 1u << 31, kUnscored = 1u << 30;

class UnigramWriter {
 public:
  UnigramWriter(const UnknownRules& rules, const ByteTrie& trie,
                const std::vector<std::uint32_t>& lengths, Text text, IdBuffer& ids,
                std::vector<std::uint32_t>* ends, std::vector<std::uint32_t>* steps = nullptr)
      : rules_(rules),
        trie_(trie),
        lengths_(lengths),
        text_(text),
        ids_(ids),
        ends_(ends),
        steps_(steps) {}

  // The first `count` ids, known tokens that begin at `begin`.
  template <std::size_t kNumIds>
  void write_known(const std::array<std::uint32_t, kNumIds>& ids, std::size_t count,
                   std::size_t begin) {
    if (run_end_ > 0) finish();
    std::memcpy(ids_.room(kNumIds), ids.data(), sizeof ids);
    ids_.advance(count);
    if (steps_ != nullptr) steps_->insert(steps_->end(), ids.begin(), ids.begin() + count);
    for (std::size_t i = 0; ends_ != nullptr && i < count; ++i) {
      ends_->push_back(static_cast<std::uint32_t>(begin += lengths_[ids[i]]));
    }
  }

  void write(const PathStep& step) {
    if (step.id != rules_.id) {
      if (run_end_ > 0) finish();
      put(step.id, step.end);
      if (steps_ != nullptr) steps_->push_back(step.id);
      return;
    }
    if (run_end_ > 0 && !rules_.fuse) finish();
    if (run_end_ == 0) run_begin_ = step.begin;
    run_end_ = step.end;
    if (steps_ != nullptr) steps_->push_back(step.id | kUnwritten);
  }

  // Writes the pending run of unknowns; call it after the last step.
  void finish();

 private:
  void put(std::uint32_t id, std::uint32_t end) {
    *ids_.room(1) = id;
    ids_.advance(1);
    if (ends_ != nullptr) ends_->push_back(end);
  }
  void put_unscored(std::uint32_t id, std::uint32_t end) {
    put(id, end);
    if (steps_ != nullptr) steps_->push_back(id | kUnscored);
  }

  const UnknownRules& rules_;
  const ByteTrie& trie_;
  const std::vector<std::uint32_t>& lengths_;
  Text text_;
  IdBuffer& ids_;
  std::vector<std::uint32_t>* ends_;
  std::vector<std::uint32_t>* steps_;
  std::uint32_t run_begin_ = 0, run_end_ = 0;  // run_end_ 0: no run
};

}  // namespace llmcore::tokenizer
