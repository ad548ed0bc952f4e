#include "tokenizer/models/bpe_chars.h"

#include <algorithm>
#include <cstdio>

#include "tokenizer/errors.h"
#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

// The row of symbols as it is filled. An unknown character waits for its neighbours: they may fuse.
struct CharBpe::Symbols {
  std::vector<std::uint32_t>& ids;
  std::vector<std::uint32_t>& lens;
  std::uint32_t unknown_size = 0;

  void add(std::uint32_t id, std::uint32_t size) {
    ids.push_back(id);
    lens.push_back(size);
  }
  void flush(std::uint32_t unk_id) {
    if (unknown_size > 0) add(unk_id, unknown_size);
    unknown_size = 0;
  }
};

CharBpe::CharBpe(const TokenizerSpec& spec)
    : Bpe(spec.bpe.dropout),
      texts_(spec.tokens),
      options_(spec.bpe),
      over_bytes_(spec.spelling == Spelling::kByteChars) {
  if (texts_.size() >= kMaxTokens) {
    throw DataError("tokenizer: model.vocab must hold fewer than " + std::to_string(kMaxTokens) +
                    " tokens, got " + std::to_string(texts_.size()));
  }
  ids_.reserve(texts_.size());
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    if (!texts_[id].empty() && !ids_.emplace(texts_[id], id).second) {
      throw DataError("tokenizer: token " + json_quote(texts_[id]) + " must have one id, got two");
    }
  }
  for (unsigned b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    byte_ids_[b] = find(text);
  }
  if (!options_.unk_token.empty()) unk_id_ = find(options_.unk_token);
  add_merges(spec);
}

std::uint32_t CharBpe::find(std::string_view text) const {
  const auto it = ids_.find(text);
  return it == ids_.end() ? kNoRank : it->second;
}

void CharBpe::add_merges(const TokenizerSpec& spec) {
  rules_.reserve(spec.merges.size());
  const std::size_t prefix_size = options_.continuing_subword_prefix.size();
  for (const auto& [left, right] : spec.merges) {
    const std::string where = "tokenizer: merge " + std::to_string(rules_.size());
    if (left >= texts_.size() || right >= texts_.size()) {
      throw DataError(where + " must name tokens of model.vocab, got id " +
                      std::to_string(std::max(left, right)));
    }
    if (texts_[right].size() < prefix_size) {
      throw DataError(where + " must continue with " +
                      json_quote(options_.continuing_subword_prefix) + ", got " +
                      json_quote(texts_[right]));
    }
    const std::string joined = texts_[left] + texts_[right].substr(prefix_size);
    const std::uint32_t merged = find(joined);
    if (merged == kNoRank || rules_.size() >= kMaxMerges) {
      throw DataError(where + " must make a token of model.vocab, got " + json_quote(joined));
    }
    rules_.add({left, right, merged});
  }
}

void CharBpe::add_symbol(std::string_view text, std::uint32_t size, Symbols& symbols) const {
  if (const std::uint32_t id = find(text); id != kNoRank) {
    symbols.flush(unk_id_);
    symbols.add(id, size);
    return;
  }
  const auto has_byte = [&](char c) { return byte_ids_[static_cast<std::uint8_t>(c)] != kNoRank; };
  if (options_.byte_fallback && std::all_of(text.begin(), text.end(), has_byte)) {
    // A waiting unknown character is not flushed here: tokenizers writes it after these bytes.
    for (const char c : text) symbols.add(byte_ids_[static_cast<std::uint8_t>(c)], 1);
    return;
  }
  if (options_.unk_token.empty()) return;  // dropped, as in tokenizers
  if (unk_id_ == kNoRank) {
    throw DataError("tokenizer: model.unk_token must be a token of model.vocab, got " +
                    json_quote(options_.unk_token));
  }
  if (!options_.fuse_unk) symbols.flush(unk_id_);
  symbols.unknown_size += size;
}

void CharBpe::load(Text piece, BpeScratch& scratch) const {
  scratch.ids.clear();
  scratch.lens.clear();
  Symbols symbols{scratch.ids, scratch.lens};
  std::string text;
  const std::uint8_t* end = piece.data() + piece.size();
  for (const std::uint8_t* p = piece.data(); p < end;) {
    std::uint32_t c = 0;
    const unsigned size = over_bytes_ ? 1 : std::max(decode_utf8(p, end, c), 1u);
    text.clear();
    if (p != piece.data()) text += options_.continuing_subword_prefix;
    const std::string_view chars(reinterpret_cast<const char*>(p), size);
    text += over_bytes_ ? bytes_to_text(chars) : std::string(chars);
    p += size;
    if (p == end) text += options_.end_of_word_suffix;
    add_symbol(text, size, symbols);
  }
  symbols.flush(unk_id_);
}

void CharBpe::cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch, IdBuffer& ids,
                  std::vector<std::uint32_t>* ends) const {
  if (options_.ignore_merges && rng == nullptr) {
    const std::uint32_t id =
        find(over_bytes_ ? bytes_to_text(as_view(piece)) : std::string(as_view(piece)));
    if (id != kNoRank) {
      *ids.room(1) = id;
      ids.advance(1);
      if (ends != nullptr) ends->push_back(static_cast<std::uint32_t>(piece.size()));
      return;
    }
  }
  load(piece, scratch);
  std::uint32_t* lens = ends == nullptr ? nullptr : scratch.lens.data();
  const std::size_t size = scratch.ids.size();
  const std::size_t count = rng == nullptr
                                ? rules_.merge(scratch.ids.data(), lens, size, scratch.merge)
                                : rules_.sample(scratch.ids.data(), lens, size, dropout,
                                                Dropped::kReturns, *rng, scratch.merge);
  std::copy_n(scratch.ids.data(), count, ids.room(count));
  ids.advance(count);
  std::uint32_t at = 0;
  for (std::size_t i = 0; ends != nullptr && i < count; ++i) ends->push_back(at += lens[i]);
}

}  // namespace llmcore::tokenizer
