#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/models/wordpiece.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/ids_and_texts.h"
#include "tokenizer/train/wordpiece_merging.h"
#include "tokenizer/train/wordpiece_trainer.h"

namespace llmcore::tokenizer {
namespace {

// Ill-formed bytes are no characters: no token would match them.
template <typename Visit>
void for_each_char(std::string_view word, Visit&& visit) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(word.data());
  const std::uint8_t* end = p + word.size();
  while (p < end) {
    std::uint32_t c = 0;
    const unsigned size = decode_utf8(p, end, c);
    p += std::max(size, 1u);
    if (size > 0) visit(c);
  }
}

std::uint64_t num_chars(std::string_view text) {
  return static_cast<std::uint64_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

class Extender {
 public:
  Extender(const TokenizerSpec& spec, const WordTable& words, const WordPieceTrainerArgs& args)
      : spec_(spec),
        table_(words),
        args_(args),
        first_(size_of(spec)),
        tokens_(spec.wordpiece.continuing_subword_prefix),
        words_(args.max_token_length) {
    add_old_tokens();
    add_alphabet();
    if (tokens_.size() > args.vocab_size) {
      throw ConfigError("extend: vocab_size must be at least " + std::to_string(tokens_.size()) +
                        " (the vocabulary and the new characters), got " +
                        std::to_string(args.vocab_size));
    }
    add_words();
  }

  TokenizerSpec run(const WordPieceTick& tick) {
    merge_wordpiece(tokens_, words_, args_, forbidden_, tick);
    return spec_so_far();
  }

 private:
  // The encoder gives longer words up, so nothing is to be learned of them.
  template <typename Visit>
  void for_each_word(Visit&& visit) const {
    table_.for_each([&](std::string_view word, std::int64_t count) {
      if (num_chars(word) <= spec_.wordpiece.max_input_chars_per_word) visit(word, count);
    });
  }

  // Every id with its text: the model's, or else the added token's. Added ones and the unknown one
  // are no part of a word.
  void add_old_tokens() {
    std::vector<std::string> texts(first_);
    forbidden_.resize(first_);
    for (const AddedTokenSpec& token : spec_.added) {
      texts[token.id] = token.content;
      forbidden_[token.id] = true;
    }
    for (std::size_t id = 0; id < spec_.tokens.size(); ++id) {
      if (!spec_.tokens[id].empty()) texts[id] = spec_.tokens[id];
      if (spec_.tokens[id] == spec_.wordpiece.unk_token) forbidden_[id] = true;
    }
    for (const std::string& text : texts) {
      if (text.empty() || tokens_.find(text) != nullptr) {
        tokens_.skip();
      } else {
        tokens_.add(text);
      }
    }
  }

  // As in training: the characters of the text, then those inside words with the prefix; here only
  // those without a token, the most frequent first.
  void add_alphabet() {
    std::unordered_map<std::uint32_t, std::int64_t> counts;
    std::unordered_set<std::uint32_t> inside;
    std::int64_t total = 0;  // no count of characters or pairs is larger
    for_each_word([&](std::string_view word, std::int64_t count) {
      bool is_first = true;
      for_each_char(word, [&](std::uint32_t c) {
        if (__builtin_add_overflow(total, count, &total)) {
          throw DataError("extend: the text must hold fewer than 2^63 characters, got more");
        }
        counts[c] += count;
        if (!is_first) inside.insert(c);
        is_first = false;
      });
    });
    const std::string& prefix = tokens_.prefix();
    std::vector<std::pair<std::uint32_t, std::int64_t>> lacking;
    for (const auto& [c, count] : counts) {
      const std::string text = text_of(c);
      const bool lacks_inner = inside.contains(c) && tokens_.find(prefix + text) == nullptr;
      if (lacks_inner || tokens_.find(text) == nullptr) lacking.emplace_back(c, count);
    }
    std::sort(lacking.begin(), lacking.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    if (lacking.size() > args_.limit_alphabet) lacking.resize(args_.limit_alphabet);
    for (const auto& [c, count] : lacking) tokens_.add(text_of(c));
    for (const auto& [c, count] : lacking) {
      if (inside.contains(c)) tokens_.add(prefix + text_of(c));
    }
  }

  // Every word as the vocabulary with its new characters encodes it.
  void add_words() {
    const TokenizerSpec spec = spec_so_far();
    const auto model = make_wordpiece(spec);
    const auto scratch = model->make_scratch();
    const bool has_unknown = std::find(spec.tokens.begin(), spec.tokens.end(),
                                       spec.wordpiece.unk_token) != spec.tokens.end();
    std::vector<std::uint32_t> lengths;
    lengths.reserve(tokens_.size());
    for (std::uint32_t id = 0; id < tokens_.size(); ++id) {
      lengths.push_back(static_cast<std::uint32_t>(num_chars(tokens_.inner_text(id))));
    }
    IdBuffer ids;
    for_each_word([&](std::string_view word, std::int64_t count) {
      ids = IdBuffer();
      try {
        model->encode(as_text(word), *scratch, ids, nullptr);
      } catch (const DataError&) {
        if (has_unknown) throw;
        return;  // unknown, and no token says so
      }
      add_parts({ids.data(), ids.size()}, count, lengths);
    });
  }

  // No merge reaches over a token that is no part of a word.
  void add_parts(std::span<const std::uint32_t> ids, std::int64_t count,
                 const std::vector<std::uint32_t>& lengths) {
    const auto is_break = [&](std::uint32_t id) { return id < first_ && forbidden_[id]; };
    while (!ids.empty()) {
      const auto end = std::find_if(ids.begin(), ids.end(), is_break);
      const auto size = static_cast<std::size_t>(end - ids.begin());
      if (size > 0) words_.add(ids.first(size), count, lengths);
      ids = ids.subspan(std::min(size + 1, ids.size()));
    }
  }

  TokenizerSpec spec_so_far() const {
    TokenizerSpec spec = spec_;
    if (tokens_.size() == first_) return spec;
    spec.tokens.resize(tokens_.size());
    for (std::size_t id = first_; id < tokens_.size(); ++id) {
      spec.tokens[id] = tokens_[static_cast<std::uint32_t>(id)];
    }
    return spec;
  }

  const TokenizerSpec& spec_;
  const WordTable& table_;
  const WordPieceTrainerArgs& args_;
  std::size_t first_;            // new id
  std::vector<bool> forbidden_;  // by old id
  WordPieceVocabulary tokens_;
  WordPieceWords words_;
};

}  // namespace

TokenizerSpec extend_wordpiece(const TokenizerSpec& spec, const WordTable& words,
                               const WordPieceTrainerArgs& args, const WordPieceTick& tick) {
  return Extender(spec, words, args).run(tick);
}

}  // namespace llmcore::tokenizer
