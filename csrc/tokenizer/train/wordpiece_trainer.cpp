#include "tokenizer/train/wordpiece_trainer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/ids_and_texts.h"
#include "tokenizer/train/wordpiece_merging.h"
#include "tokenizer/train/wordpiece_words.h"

namespace llmcore::tokenizer {
namespace {

template <typename Visit>
void for_each_char(std::string_view word, Visit&& visit) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(word.data());
  const std::uint8_t* end = p + word.size();
  while (p < end) visit(next_char(p, end));
}

class Trainer {
 public:
  Trainer(const WordTable& words, const WordPieceTrainerArgs& args)
      : args_(args), tokens_(args.continuing_subword_prefix), words_(args.max_token_length) {
    for (const std::string& token : args.special_tokens) tokens_.add(token);
    add_alphabet(words);
    add_continuing_alphabet(words);
    add_words(words);
  }

  std::vector<std::string> run(const WordPieceTick& tick) {
    merge_wordpiece(tokens_, words_, args_, {}, tick);
    return tokens_.take();
  }

 private:
  // The characters kept, by code point. Where the limit cuts among equal counts, the larger code
  // points go.
  void add_alphabet(const WordTable& words) {
    std::unordered_map<std::uint32_t, std::int64_t> counts;
    std::int64_t total = 0;  // no count of characters or pairs is larger
    words.for_each([&](std::string_view word, std::int64_t count) {
      for_each_char(word, [&](std::uint32_t c) {
        if (__builtin_add_overflow(total, count, &total)) {
          throw DataError("train: the text must hold fewer than 2^63 characters, got more");
        }
        counts[c] += count;
      });
    });
    for (const std::uint32_t c : args_.initial_alphabet) {
      counts[c] = std::numeric_limits<std::int64_t>::max();
    }
    std::vector<std::pair<std::uint32_t, std::int64_t>> kept(counts.begin(), counts.end());
    if (kept.size() > args_.limit_alphabet) {
      std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
      });
      kept.resize(args_.limit_alphabet);
    }
    std::sort(kept.begin(), kept.end());
    for (const auto& [c, count] : kept) first_ids_[c] = tokens_.add(text_of(c));
    // A special token of one character lets that character in, as in `tokenizers`.
    for (const auto& [c, count] : counts) {
      const std::uint32_t* known = tokens_.find(text_of(c));
      if (known != nullptr) first_ids_[c] = *known;
    }
  }

  void add_continuing_alphabet(const WordTable& words) {
    std::unordered_set<std::uint32_t> seen;
    words.for_each([&](std::string_view word, std::int64_t) {
      bool is_first = true;
      for_each_char(word, [&](std::uint32_t c) {
        if (!is_first && first_ids_.contains(c)) seen.insert(c);
        is_first = false;
      });
    });
    const auto add = [&](std::uint32_t c) {
      inner_ids_[c] = tokens_.add(args_.continuing_subword_prefix + text_of(c));
    };
    for (const std::uint32_t c : args_.continuing_order) {
      if (seen.erase(c) != 0) add(c);
    }
    std::vector<std::uint32_t> rest(seen.begin(), seen.end());
    std::sort(rest.begin(), rest.end());
    for (const std::uint32_t c : rest) add(c);
  }

  // Characters outside the alphabet are left out of the words.
  void add_words(const WordTable& words) {
    std::vector<std::uint32_t> ids;
    words.for_each([&](std::string_view word, std::int64_t count) {
      ids.clear();
      bool is_first = true;
      for_each_char(word, [&](std::uint32_t c) {
        const auto& by_char = is_first ? first_ids_ : inner_ids_;
        is_first = false;
        const auto known = by_char.find(c);
        if (known != by_char.end()) ids.push_back(known->second);
      });
      words_.add(ids, count);
    });
  }

  const WordPieceTrainerArgs& args_;
  WordPieceVocabulary tokens_;
  std::unordered_map<std::uint32_t, std::uint32_t> first_ids_, inner_ids_;  // by character
  WordPieceWords words_;
};

}  // namespace

std::vector<std::string> train_wordpiece(const WordTable& words, const WordPieceTrainerArgs& args,
                                         const WordPieceTick& tick) {
  return Trainer(words, args).run(tick);
}

}  // namespace llmcore::tokenizer
