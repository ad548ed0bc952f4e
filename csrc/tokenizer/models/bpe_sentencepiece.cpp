#include "tokenizer/models/bpe_sentencepiece.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr unsigned kNeighbourBits = 17;

// Code point of a character, or one of its own for an ill-formed byte.
std::uint32_t char_at(const std::uint8_t* p, const std::uint8_t* end, unsigned& size) {
  std::uint32_t c = 0;
  size = decode_utf8(p, end, c);
  if (size > 0) return c;
  size = 1;
  return 0x110000u + *p;
}

std::size_t neighbour_bit(std::uint32_t a, std::uint32_t b) {
  if ((a | b) < 128) return a << 7 | b;
  const std::uint64_t pair = static_cast<std::uint64_t>(a) << 21 | b;
  return (1u << 14) + (pair * 0x9E3779B97F4A7C15ull >> (64 - kNeighbourBits));
}

Text text_between(const std::uint8_t* begin, const std::uint8_t* end) {
  return {begin, end};
}

}  // namespace

struct SentencePieceBpe::Scratch : BpeScratch {
  PieceCache cache;
};

struct SentencePieceBpe::Call {
  double dropout;
  DropoutRng* rng;
  Scratch& scratch;
  IdBuffer& ids;
  std::vector<std::uint32_t>* ends;
  const std::uint8_t *begin, *end;
  std::size_t first_id;  // ids of this call begin here
};

SentencePieceBpe::SentencePieceBpe(const TokenizerSpec& spec, std::vector<PieceType> kinds)
    : Bpe(spec.bpe.dropout),
      texts_(spec.tokens),
      kinds_(std::move(kinds)),
      byte_fallback_(spec.bpe.byte_fallback) {
  if (texts_.size() >= kMaxTokens / 2) {
    throw DataError("tokenizer: pieces must be fewer than " + std::to_string(kMaxTokens / 2) +
                    ", got " + std::to_string(texts_.size()));
  }
  if (spec.scores.size() != texts_.size() || kinds_.size() != texts_.size()) {
    throw DataError("tokenizer: every piece must have a score and a kind, got " +
                    std::to_string(spec.scores.size()) + " and " + std::to_string(kinds_.size()) +
                    " for " + std::to_string(texts_.size()) + " pieces");
  }
  neighbours_.assign(((1u << 14) + (1u << kNeighbourBits)) / 64, 0);
  name_symbols();
  add_rules(spec.scores);
}

std::unique_ptr<ModelScratch> SentencePieceBpe::make_scratch() const {
  return std::make_unique<Scratch>();
}

void SentencePieceBpe::name_symbols() {
  byte_ids_.fill(kNoRank);
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    const std::string& text = texts_[id];
    if (!text.empty() && !symbols_.emplace(text, id).second) {
      throw DataError("tokenizer: piece " + json_quote(text) + " must have one id, got two");
    }
    if (kinds_[id] == PieceType::kUnknown) unk_id_ = id;
    if (kinds_[id] == PieceType::kUnused) has_unused_ = true;
    if (kinds_[id] == PieceType::kUserDefined && !text.empty()) {
      user_sizes_[static_cast<std::uint8_t>(text[0])].push_back(
          static_cast<std::uint32_t>(text.size()));
    }
    if (kinds_[id] == PieceType::kByte) {
      const int byte = byte_of_piece(text);
      if (byte < 0) {
        throw DataError("tokenizer: a byte piece must be written <0xAB>, got " + json_quote(text));
      }
      byte_ids_[static_cast<std::size_t>(byte)] = id;
    }
  }
  if (byte_fallback_ && std::count(byte_ids_.begin(), byte_ids_.end(), kNoRank) > 0) {
    throw DataError("tokenizer: byte_fallback must come with 256 byte pieces, got fewer");
  }
  if (unk_id_ == kNoRank && !byte_fallback_) {
    throw DataError("tokenizer: pieces must hold the unknown piece, got none");
  }
  for (auto& sizes : user_sizes_) {
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  }
}

// Pieces in SentencePiece's order of merging: score, and of one score the shorter first, which
// cannot matter to the result but lets the longer ones be made of them.
void SentencePieceBpe::add_rules(const std::vector<double>& scores) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    const bool merges = kinds_[id] == PieceType::kNormal || kinds_[id] == PieceType::kUnused;
    if (merges && !texts_[id].empty()) order.push_back(id);
  }
  const auto score = [&](std::uint32_t id) {
    const auto s = static_cast<float>(scores[id]);
    return std::isnan(s) ? -std::numeric_limits<float>::infinity() : s;
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (score(a) != score(b)) return score(a) > score(b);
    if (texts_[a].size() != texts_[b].size()) return texts_[a].size() < texts_[b].size();
    return a < b;
  });
  // Views of symbols_ must outlive it, so the extra texts are all made before any is named.
  for (const std::uint32_t id : order) note_neighbours(texts_[id]);
  std::sort(extras_.begin(), extras_.end());
  extras_.erase(std::unique(extras_.begin(), extras_.end()), extras_.end());
  auto next = static_cast<std::uint32_t>(texts_.size());
  if (texts_.size() + extras_.size() >= kMaxTokens - 1) {
    throw DataError("tokenizer: pieces and their characters must be fewer than " +
                    std::to_string(kMaxTokens - 1) + ", got more");
  }
  for (const std::string& text : extras_) symbols_.emplace(text, next++);
  stranger_ = next;
  ascii_ids_.fill(stranger_);
  for (const auto& [text, id] : symbols_) {
    unsigned size = 0;
    const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
    const std::uint32_t c = char_at(p, p + text.size(), size);
    if (size != text.size()) continue;
    if (c < 128) ascii_ids_[c] = id;
    char_ids_[c] = id;
  }
  // No merge reaches a piece that holds a user-defined one, which is always cut out.
  std::erase_if(order, [&](std::uint32_t id) { return holds_user_defined(as_text(texts_[id])); });
  std::vector<UnionToken> tokens;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::uint32_t id = order[i];
    const bool tied = i > 0 && score(id) == score(order[i - 1]);
    tokens.push_back({texts_[id], id, tied, kinds_[id] == PieceType::kUnused});
  }
  BpeScratch scratch;
  const auto find = [&](std::string_view text) {
    const auto it = symbols_.find(text);
    return it == symbols_.end() ? kNoRank : it->second;
  };
  rules_ = union_rules(tokens, find, [&](std::string_view text, std::vector<std::uint32_t>& ids) {
    load(as_text(text), scratch);
    ids = scratch.ids;
  });
}

void SentencePieceBpe::note_neighbours(std::string_view text) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = p + text.size();
  std::uint32_t before = 0;
  for (bool first = true; p < end; first = false) {
    unsigned size = 0;
    const std::uint32_t c = char_at(p, end, size);
    const std::string_view chars(reinterpret_cast<const char*>(p), size);
    if (symbols_.find(chars) == symbols_.end()) extras_.emplace_back(chars);
    if (!first) neighbours_[neighbour_bit(before, c) / 64] |= 1ull << neighbour_bit(before, c) % 64;
    before = c;
    p += size;
  }
}

bool SentencePieceBpe::may_join(std::uint32_t a, std::uint32_t b) const {
  const std::size_t bit = neighbour_bit(a, b);
  return (neighbours_[bit / 64] >> bit % 64 & 1) != 0;
}

// Length of the longest user-defined piece at p, or 0.
std::size_t SentencePieceBpe::user_defined_size(const std::uint8_t* p,
                                                const std::uint8_t* end) const {
  for (const std::uint32_t size : user_sizes_[*p]) {
    if (size > static_cast<std::size_t>(end - p)) continue;
    const auto it = symbols_.find({reinterpret_cast<const char*>(p), size});
    if (it != symbols_.end() && it->second < kinds_.size() &&
        kinds_[it->second] == PieceType::kUserDefined) {
      return size;
    }
  }
  return 0;
}

bool SentencePieceBpe::holds_user_defined(Text text) const {
  const std::uint8_t* end = text.data() + text.size();
  for (const std::uint8_t* p = text.data(); p < end; ++p) {
    if (!user_sizes_[*p].empty() && user_defined_size(p, end) > 0) return true;
  }
  return false;
}

std::uint32_t SentencePieceBpe::symbol_of(std::uint32_t c) const {
  if (c < 128) return ascii_ids_[c];
  const auto it = char_ids_.find(c);
  return it == char_ids_.end() ? stranger_ : it->second;
}

// The characters of a unit as symbols.
void SentencePieceBpe::load(Text unit, BpeScratch& scratch) const {
  scratch.ids.clear();
  scratch.lens.clear();
  const std::uint8_t* end = unit.data() + unit.size();
  for (const std::uint8_t* p = unit.data(); p < end;) {
    unsigned size = 0;
    scratch.ids.push_back(symbol_of(char_at(p, end, size)));
    scratch.lens.push_back(size);
    p += size;
  }
}

// One symbol of the result: a piece, or an unknown character's bytes. Unknown ones in a row fuse.
void SentencePieceBpe::emit(std::uint32_t id, Text surface, Call& call) const {
  const auto end = static_cast<std::uint32_t>(surface.data() + surface.size() - call.begin);
  const auto put = [&](std::uint32_t token, std::uint32_t token_end) {
    *call.ids.room(1) = token;
    call.ids.advance(1);
    if (call.ends != nullptr) call.ends->push_back(token_end);
  };
  const bool known = id < texts_.size() && id != unk_id_ && kinds_[id] != PieceType::kUnused;
  if (known) return put(id, end);
  if (byte_fallback_) {
    auto at = static_cast<std::uint32_t>(end - surface.size());
    for (const std::uint8_t b : surface) put(byte_ids_[b], ++at);
    return;
  }
  const std::size_t size = call.ids.size();
  if (size == call.first_id || call.ids.data()[size - 1] != unk_id_) return put(unk_id_, end);
  if (call.ends != nullptr) call.ends->back() = end;
}

void SentencePieceBpe::merge_unit(Text unit, Call& call) const {
  Scratch& scratch = call.scratch;
  load(unit, scratch);
  std::uint32_t* ids = scratch.ids.data();
  std::uint32_t* lens = scratch.lens.data();
  const std::size_t size = scratch.ids.size();
  const std::size_t count = call.rng == nullptr
                                ? rules_.merge(ids, lens, size, scratch.merge)
                                : rules_.sample(ids, lens, size, call.dropout, Dropped::kIsGone,
                                                *call.rng, scratch.merge);
  const std::uint8_t* p = unit.data();
  for (std::size_t i = 0; i < count; p += lens[i++]) emit(ids[i], {p, lens[i]}, call);
}

// A unit through the cache, which keeps the unit's ids on their own: an unknown one in front fuses
// with an unknown one before the unit.
void SentencePieceBpe::encode_unit(Text unit, Call& call) const {
  PieceCache& cache = call.scratch.cache;
  if (call.rng != nullptr || call.ends != nullptr || unit.size() > PieceCache::kMaxPiece) {
    return merge_unit(unit, call);
  }
  const std::size_t before = call.ids.size();
  const bool after_unknown =
      !byte_fallback_ && before > call.first_id && call.ids.data()[before - 1] == unk_id_;
  std::uint32_t known[PieceCache::kMaxPiece + PieceCache::kRoom];
  const PieceKey key = make_piece_key(unit.data(), unit.size(), call.end);
  std::size_t count = cache.find(key, unit.data(), unit.size(), known);
  if (count > 0) {
    const std::size_t skipped = after_unknown && known[0] == unk_id_ ? 1 : 0;
    std::copy(known + skipped, known + count, call.ids.room(count));
    call.ids.advance(count - skipped);
    return;
  }
  merge_unit(unit, call);
  const std::uint32_t first = call.scratch.ids[0];
  if (after_unknown && (first >= texts_.size() || first == unk_id_)) known[count++] = unk_id_;
  const std::size_t added = call.ids.size() - before;
  std::copy_n(call.ids.data() + before, added, known + count);
  cache.insert(key, unit.data(), unit.size(), known, count + added);
}

void SentencePieceBpe::encode_units(Text piece, Call& call) const {
  const std::uint8_t* end = piece.data() + piece.size();
  const std::uint8_t* begin = piece.data();  // of the unit
  std::uint32_t before = 0;
  for (const std::uint8_t* p = begin; p < end;) {
    if (const std::size_t size = user_sizes_[*p].empty() ? 0 : user_defined_size(p, end)) {
      if (begin < p) encode_unit(text_between(begin, p), call);
      emit(symbols_.find({reinterpret_cast<const char*>(p), size})->second, {p, size}, call);
      begin = p += size;
      continue;
    }
    unsigned size = 0;
    const std::uint32_t c = char_at(p, end, size);
    if (begin < p && !may_join(before, c)) {
      encode_unit(text_between(begin, p), call);
      begin = p;
    }
    before = c;
    p += size;
  }
  if (begin < end) encode_unit(text_between(begin, end), call);
}

// With unused pieces: they merge like the others and are then taken apart again, each into the pair
// that was last seen to make it up anywhere in the sentence, as sentencepiece does.
void SentencePieceBpe::encode_resegmented(Text piece, Call& call) const {
  Scratch& scratch = call.scratch;
  load_sentence(piece, scratch);
  std::unordered_map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> parts;
  const MergeWatch watch = [&](std::uint32_t left, std::uint32_t right, std::uint32_t merged) {
    if (kinds_[merged] == PieceType::kUnused) parts[merged] = {left, right};
  };
  DropoutRng none;
  const std::size_t count = rules_.sample(
      scratch.ids.data(), scratch.lens.data(), scratch.ids.size(), call.dropout, Dropped::kIsGone,
      call.rng == nullptr ? none : *call.rng, scratch.merge, &watch);
  const std::uint8_t* p = piece.data();
  std::vector<std::uint32_t> stack;
  for (std::size_t i = 0; i < count; p += scratch.lens[i++]) {
    const std::uint8_t* at = p;
    stack.assign(1, scratch.ids[i]);
    while (!stack.empty()) {
      const std::uint32_t id = stack.back();
      stack.pop_back();
      const auto found = parts.find(id);
      if (found == parts.end()) {
        const std::size_t size = id == stranger_ ? scratch.lens[i] : symbol_text(id).size();
        emit(id, {at, size}, call);
        at += size;
      } else {
        stack.push_back(found->second.second);
        stack.push_back(found->second.first);
      }
    }
  }
}

std::string_view SentencePieceBpe::symbol_text(std::uint32_t id) const {
  return id < texts_.size() ? texts_[id] : extras_[id - texts_.size()];
}

// As load(), with user-defined pieces as single symbols, which no merge touches.
void SentencePieceBpe::load_sentence(Text piece, BpeScratch& scratch) const {
  scratch.ids.clear();
  scratch.lens.clear();
  const std::uint8_t* end = piece.data() + piece.size();
  for (const std::uint8_t* p = piece.data(); p < end;) {
    unsigned length = 0;
    std::size_t size = user_sizes_[*p].empty() ? 0 : user_defined_size(p, end);
    if (size > 0) {
      scratch.ids.push_back(symbols_.find({reinterpret_cast<const char*>(p), size})->second);
    } else {
      scratch.ids.push_back(symbol_of(char_at(p, end, length)));
      size = length;
    }
    scratch.lens.push_back(static_cast<std::uint32_t>(size));
    p += size;
  }
}

void SentencePieceBpe::cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch,
                           IdBuffer& ids, std::vector<std::uint32_t>* ends) const {
  Call call{dropout, rng,          static_cast<Scratch&>(scratch), ids,
            ends,    piece.data(), piece.data() + piece.size(),    ids.size()};
  if (has_unused_) return encode_resegmented(piece, call);
  encode_units(piece, call);
}

std::unique_ptr<Bpe> make_sentencepiece_bpe(const TokenizerSpec& spec,
                                            const std::vector<PieceType>& kinds) {
  return std::make_unique<SentencePieceBpe>(spec, kinds);
}

}  // namespace llmcore::tokenizer
