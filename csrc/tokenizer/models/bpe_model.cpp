#include "tokenizer/models/bpe_model.h"

#include <algorithm>
#include <memory>

#include "tokenizer/errors.h"
#include "tokenizer/models/bpe_union.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::size_t kFewRanks = 128;
static_assert(TokenIndex::kAbsent == kNoRank);

std::string quote(std::string_view text) {
  return "\"" + std::string(text.substr(0, 64)) + "\"";
}

bool is_union(std::string_view text, std::string_view left, std::string_view right) {
  return !text.empty() && text.size() == left.size() + right.size() && text.starts_with(left) &&
         text.ends_with(right);
}

}  // namespace

BpeModel::BpeModel(const TokenizerSpec& spec)
    : ignore_merges_(spec.bpe.ignore_merges || spec.bpe.by_rank) {
  if (spec.tokens.size() >= kMaxTokens) {
    throw DataError("tokenizer: model.vocab must hold fewer than " + std::to_string(kMaxTokens) +
                    " tokens, got " + std::to_string(spec.tokens.size()));
  }
  const bool spelled = spec.spelling == Spelling::kByteChars;
  const TokenIndex ids_by_text(spec.tokens);
  if (const std::uint32_t id = ids_by_text.repeated(); id != TokenIndex::kAbsent) {
    throw DataError("tokenizer: token " + quote(spec.tokens[id]) + " must have one id, got two");
  }
  add_tokens(spec.tokens, spelled);
  add_byte_ids(ids_by_text, spelled);
  if (!spec.bpe.by_rank) {
    set_merging(listed_rules(spec, ids_by_text));
  } else if (may_lack_unions()) {
    prepare();
  }
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

// `spelled`: in the byte alphabet. A text outside of it stands for itself, and is no piece's.
void BpeModel::add_tokens(const std::vector<std::string>& texts, bool spelled) {
  std::vector<char> is_piece(texts.size());
  starts_.reserve(texts.size() + 1);
  starts_.push_back(0);
  std::size_t total = 0;
  for (const std::string& text : texts) total += text.size();
  bytes_.reserve(total);
  std::string bytes;
  for (std::uint32_t id = 0; id < texts.size(); ++id) {
    const bool is_bytes = spelled && text_to_bytes(texts[id], bytes);
    is_piece[id] = !texts[id].empty() && (is_bytes || !spelled);
    bytes_ += is_bytes ? std::string_view(bytes) : std::string_view(texts[id]);
    starts_.push_back(bytes_.size());
  }
  if (!ignore_merges_) return;
  ids_by_bytes_.emplace(texts.size(), BytesOf{this});
  for (std::uint32_t id = 0; id < texts.size(); ++id) {
    if (is_piece[id]) ids_by_bytes_->insert(token_bytes(id), id);
  }
}

void BpeModel::add_byte_ids(const TokenIndex& ids_by_text, bool spelled) {
  for (unsigned b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    byte_ids_[b] = ids_by_text.find(spelled ? bytes_to_text(byte) : byte);
    complete_alphabet_ = complete_alphabet_ && byte_ids_[b] != kNoRank;
  }
}

MergeRules BpeModel::listed_rules(const TokenizerSpec& spec, const TokenIndex& ids_by_text) const {
  const std::vector<std::string>& texts = spec.tokens;
  if (spec.merges.size() > kMaxMerges) {
    throw DataError("tokenizer: model.merges must hold at most " + std::to_string(kMaxMerges) +
                    " merges, got " + std::to_string(spec.merges.size()));
  }
  MergeRules rules;
  rules.reserve(spec.merges.size());
  // Where a vocabulary lists its tokens in the order of their merges, the next union is the next
  // id.
  std::uint32_t next = 0;
  std::string merged;
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < spec.merges.size(); ++i) {
    if (i + kAhead < spec.merges.size()) {
      rules.prefetch(spec.merges[i + kAhead].first, spec.merges[i + kAhead].second);
    }
    const auto [left, right] = spec.merges[i];
    if (left >= texts.size() || right >= texts.size()) {
      throw DataError("tokenizer: merge " + std::to_string(i) +
                      " must name tokens of model.vocab, got id " +
                      std::to_string(std::max(left, right)));
    }
    if (next >= texts.size() || !is_union(texts[next], texts[left], texts[right])) {
      merged.assign(texts[left]).append(texts[right]);
      next = ids_by_text.find(merged);
      if (next == TokenIndex::kAbsent) {
        throw DataError("tokenizer: merge " + std::to_string(i) +
                        " must name tokens of model.vocab, got " + quote(merged));
      }
    }
    rules.add({left, right, next++});
  }
  return rules;
}

// Whether rules_of_unions may throw: then it has to while the model is made.
bool BpeModel::may_lack_unions() const {
  std::size_t longest = 0;
  for (std::uint32_t id = 0; id < size(); ++id) {
    longest = std::max(longest, token_bytes(id).size());
  }
  return longest > kMaxUnion || bytes_.size() >= kMaxMerges;
}

// Ranks in place of merges, as in tiktoken.
MergeRules BpeModel::rules_of_unions() const {
  std::vector<UnionToken> tokens;
  tokens.reserve(size());
  for (std::uint32_t id = 0; id < size(); ++id) {
    const std::string_view bytes = token_bytes(id);
    if (bytes.size() > 1) tokens.push_back({bytes, id});
  }
  return union_rules(
      tokens, [&](std::string_view text) { return ids_by_bytes_->find(text); },
      [&](std::string_view text, std::vector<std::uint32_t>& ids) {
        for (const char c : text) ids.push_back(byte_ids_[std::uint8_t(c)]);
      });
}

void BpeModel::set_merging(MergeRules rules) const {
  auto made = std::make_unique<Merging>();
  made->rules = std::move(rules);
  made->byte_pair_rank.assign(256 * 256, kNoRank);
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      if (byte_ids_[a] == kNoRank || byte_ids_[b] == kNoRank) continue;
      made->byte_pair_rank[a * 256 + b] = made->rules.find(byte_ids_[a], byte_ids_[b]);
    }
  }
  const Merging* merging = nullptr;
  if (merging_.compare_exchange_strong(merging, made.get())) merging = made.release();
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
  if (ids_by_bytes_) {  // ignore_merges
    const std::uint32_t id = ids_by_bytes_->find({reinterpret_cast<const char*>(piece), size});
    if (id != kNoRank) {
      out[0] = id;
      return 1;
    }
  }
  load_bytes(piece, size, out);
  const Merging& merging = this->merging();
  std::uint32_t few[kFewRanks];
  std::uint32_t* ranks = few;
  if (size > kFewRanks) {
    scratch.first_ranks.resize(size);
    ranks = scratch.first_ranks.data();
  }
  for (std::size_t i = 0; i + 1 < size; ++i) {
    ranks[i] = merging.byte_pair_rank[piece[i] * 256u + piece[i + 1]];
  }
  ranks[size - 1] = kNoRank;
  return merging.rules.merge(out, nullptr, size, ranks, scratch);
}

std::size_t BpeModel::sample_piece(const std::uint8_t* piece, std::size_t size, double dropout,
                                   std::uint32_t* out, DropoutRng& rng,
                                   MergeScratch& scratch) const {
  load_bytes(piece, size, out);
  return merging().rules.sample(out, nullptr, size, dropout, Dropped::kReturns, rng, scratch);
}

}  // namespace llmcore::tokenizer
