#include "tokenizer/models/bpe_model.h"

#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/models/bpe_union.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kFewRanks = 128;

std::string quote(std::string_view text) {
  return "\"" + std::string(text.substr(0, 64)) + "\"";
}

}  // namespace

BpeModel::BpeModel(const std::vector<std::string_view>& tokens,
                   const std::vector<std::pair<std::string_view, std::string_view>>& merges,
                   std::vector<AddedToken> added, bool ignore_merges)
    : added_(std::move(added)), ignore_merges_(ignore_merges) {
  texts_.assign(tokens.begin(), tokens.end());
  std::vector<char> is_literal(tokens.size(), 0);
  for (const AddedToken& token : added_) is_literal.at(token.id) = 1;
  add_tokens(std::move(is_literal), true);
  rules_.reserve(merges.size());
  merges_.reserve(merges.size());
  for (std::uint32_t rank = 0; rank < merges.size(); ++rank) {
    const auto id_of = [&](std::string_view text) {
      const std::uint32_t id = find_text(text);
      if (id == kNoRank) {
        throw DataError("tokenizer: merge " + std::to_string(rank) +
                        " must name tokens of model.vocab, got " + quote(text));
      }
      return id;
    };
    add_merge(id_of(merges[rank].first), id_of(merges[rank].second));
  }
  fill_byte_ranks();
}

BpeModel::BpeModel(const TokenizerSpec& spec)
    : texts_(spec.tokens), ignore_merges_(spec.bpe.ignore_merges || spec.bpe.by_rank) {
  const bool spelled = spec.spelling == Spelling::kByteChars;
  add_tokens(std::vector<char>(texts_.size(), spelled ? 0 : 1), spelled);
  if (spec.bpe.by_rank) {
    add_unions();
  } else {
    rules_.reserve(spec.merges.size());
    merges_.reserve(spec.merges.size());
    for (const auto& [left, right] : spec.merges) add_merge(left, right);
  }
  fill_byte_ranks();
}

bool BpeModel::is_byte_level(const TokenizerSpec& spec) {
  if (spec.bpe.by_rank) return true;
  if (spec.spelling != Spelling::kByteChars || !spec.bpe.continuing_subword_prefix.empty() ||
      !spec.bpe.end_of_word_suffix.empty()) {
    return false;
  }
  std::array<bool, 256> has{};
  std::string bytes;
  for (const std::string& text : spec.tokens) {
    if (text.size() > 2 || !text_to_bytes(text, bytes) || bytes.size() != 1) continue;
    has[static_cast<std::uint8_t>(bytes[0])] = true;
  }
  return std::all_of(has.begin(), has.end(), [](bool h) { return h; });
}

// Token texts are spelled in the byte alphabet, but for the literal ones.
void BpeModel::add_tokens(std::vector<char> is_literal, bool spelled) {
  if (texts_.size() >= kMaxTokens) {
    throw DataError("tokenizer: model.vocab must hold fewer than " + std::to_string(kMaxTokens) +
                    " tokens, got " + std::to_string(texts_.size()));
  }
  ids_by_text_.reserve(texts_.size());
  starts_.assign(1, 0);
  std::string bytes;
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    if (!texts_[id].empty() && !ids_by_text_.emplace(texts_[id], id).second) {
      throw DataError("tokenizer: token " + quote(texts_[id]) + " must have one id, got two");
    }
    if (is_literal[id] == 0 && !text_to_bytes(texts_[id], bytes)) is_literal[id] = 1;
    bytes_ += is_literal[id] != 0 ? texts_[id] : bytes;
    starts_.push_back(bytes_.size());
  }
  for (unsigned b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    byte_ids_[b] = find_text(spelled ? bytes_to_text(byte) : byte);
    complete_alphabet_ = complete_alphabet_ && byte_ids_[b] != kNoRank;
  }
  if (!ignore_merges_) return;
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    if (!texts_[id].empty() && !(spelled && is_literal[id] != 0)) {
      ids_by_bytes_.emplace(token_bytes(id), id);
    }
  }
}

void BpeModel::add_merge(std::uint32_t left, std::uint32_t right) {
  if (rules_.size() >= kMaxMerges) {
    throw DataError("tokenizer: model.merges must hold fewer than " + std::to_string(kMaxMerges) +
                    " merges, got more");
  }
  if (left >= texts_.size() || right >= texts_.size()) {
    throw DataError("tokenizer: merge " + std::to_string(rules_.size()) +
                    " must name tokens of model.vocab, got id " +
                    std::to_string(std::max(left, right)));
  }
  const std::uint32_t merged = find_text(texts_[left] + texts_[right]);
  if (merged == kNoRank) {
    throw DataError("tokenizer: merge " + std::to_string(rules_.size()) +
                    " must name tokens of model.vocab, got " + quote(texts_[left] + texts_[right]));
  }
  merges_.emplace_back(left, right);
  rules_.add({left, right, merged});
}

// Ranks in place of merges, as in tiktoken.
void BpeModel::add_unions() {
  std::vector<UnionToken> tokens;
  tokens.reserve(texts_.size());
  for (std::uint32_t id = 0; id < texts_.size(); ++id) {
    const std::string_view bytes = token_bytes(id);
    if (bytes.size() > 1) tokens.push_back({bytes, id});
  }
  rules_ = union_rules(tokens, ids_by_bytes_,
                       [&](std::string_view text, std::vector<std::uint32_t>& ids) {
                         for (const char c : text) ids.push_back(byte_ids_[std::uint8_t(c)]);
                       });
}

void BpeModel::fill_byte_ranks() {
  byte_pair_rank_.assign(256 * 256, kNoRank);
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      if (byte_ids_[a] == kNoRank || byte_ids_[b] == kNoRank) continue;
      byte_pair_rank_[a * 256 + b] = rules_.find(byte_ids_[a], byte_ids_[b]);
    }
  }
}

std::uint32_t BpeModel::find_text(std::string_view text) const {
  const auto it = ids_by_text_.find(text);
  return it == ids_by_text_.end() ? kNoRank : it->second;
}

void BpeModel::load_bytes(const std::uint8_t* piece, std::size_t size, std::uint32_t* ids) const {
  for (std::size_t i = 0; i < size; ++i) ids[i] = byte_ids_[piece[i]];
  if (complete_alphabet_) return;
  for (std::size_t i = 0; i < size; ++i) {
    if (ids[i] == kNoRank) {
      throw DataError("encode: every byte must have a token, got byte " + std::to_string(piece[i]) +
                      " that this vocabulary lacks");
    }
  }
}

std::size_t BpeModel::encode_piece(const std::uint8_t* piece, std::size_t size, std::uint32_t* out,
                                   MergeScratch& scratch) const {
  if (ignore_merges_) {
    const auto it = ids_by_bytes_.find({reinterpret_cast<const char*>(piece), size});
    if (it != ids_by_bytes_.end()) {
      out[0] = it->second;
      return 1;
    }
  }
  load_bytes(piece, size, out);
  std::uint32_t few[kFewRanks];
  std::uint32_t* ranks = few;
  if (size > kFewRanks) {
    scratch.first_ranks.resize(size);
    ranks = scratch.first_ranks.data();
  }
  for (std::size_t i = 0; i + 1 < size; ++i) {
    ranks[i] = byte_pair_rank_[piece[i] * 256u + piece[i + 1]];
  }
  ranks[size - 1] = kNoRank;
  return rules_.merge(out, nullptr, size, ranks, scratch);
}

std::size_t BpeModel::sample_piece(const std::uint8_t* piece, std::size_t size, double dropout,
                                   std::uint32_t* out, DropoutRng& rng,
                                   MergeScratch& scratch) const {
  load_bytes(piece, size, out);
  return rules_.sample(out, nullptr, size, dropout, Dropped::kReturns, rng, scratch);
}

}  // namespace llmcore::tokenizer
