#include "tokenizer/models/bpe.h"

#include "tokenizer/errors.h"
#include "tokenizer/models/bpe_chars.h"
#include "tokenizer/models/bpe_model.h"

namespace llmcore::tokenizer {
namespace {

// BPE over bytes: a BpeModel as a Model.
class ByteBpe : public Bpe {
 public:
  explicit ByteBpe(const TokenizerSpec& spec) : Bpe(spec.bpe.dropout), model_(spec) {}
  std::size_t size() const override { return model_.size(); }
  const BpeModel* byte_model() const override { return &model_; }

 private:
  void cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch, IdBuffer& ids,
           std::vector<std::uint32_t>* ends) const override {
    std::uint32_t* out = ids.room(piece.size());
    const std::size_t count =
        rng == nullptr
            ? model_.encode_piece(piece.data(), piece.size(), out, scratch.merge)
            : model_.sample_piece(piece.data(), piece.size(), dropout, out, *rng, scratch.merge);
    ids.advance(count);
    if (ends == nullptr) return;
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ends->push_back(at += static_cast<std::uint32_t>(model_.token_bytes(out[i]).size()));
    }
  }

  BpeModel model_;
};

std::vector<PieceType> kinds_of(const TokenizerSpec& spec) {
  const JsonDocument extra(spec.extra, "extra");
  std::vector<PieceType> kinds(spec.tokens.size(), PieceType::kNormal);
  const Json& given = extra.root()["piece_kinds"];
  if (!given.is_null()) {
    const auto items = given.as_items("extra.piece_kinds");
    if (items.size() != kinds.size()) {
      throw DataError("extra.piece_kinds: must hold one number per token, " +
                      std::to_string(kinds.size()) + ", got " + std::to_string(items.size()));
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      kinds[i] = static_cast<PieceType>(items[i].as_integer("extra.piece_kinds", 1, 6));
    }
    return kinds;
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (spec.bpe.byte_fallback && byte_of_piece(spec.tokens[i]) >= 0) kinds[i] = PieceType::kByte;
    if (spec.tokens[i].empty()) kinds[i] = PieceType::kControl;
  }
  for (const AddedTokenSpec& token : spec.added) {
    if (token.id >= kinds.size() || spec.tokens[token.id] != token.content) continue;
    kinds[token.id] = token.special ? PieceType::kControl : PieceType::kUserDefined;
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (spec.tokens[i] == spec.bpe.unk_token) kinds[i] = PieceType::kUnknown;
  }
  return kinds;
}

}  // namespace

Bpe::Bpe(double dropout) : dropout_(dropout) {
  if (dropout >= 0 && dropout <= 1) return;
  throw DataError("tokenizer: model.dropout must be in [0, 1], got " + std::to_string(dropout));
}

std::unique_ptr<ModelScratch> Bpe::make_scratch() const {
  return std::make_unique<BpeScratch>();
}

void Bpe::encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
                 std::vector<std::uint32_t>* ends) const {
  auto& own = static_cast<BpeScratch&>(scratch);
  cut(piece, dropout_, dropout_ > 0 ? &own.rng : nullptr, own, ids, ends);
}

void Bpe::sample(Text piece, double dropout, DropoutRng& rng, BpeScratch& scratch, IdBuffer& ids,
                 std::vector<std::uint32_t>* ends) const {
  if (!(dropout >= 0 && dropout <= 1)) {
    throw ConfigError("sample: dropout must be in [0, 1], got " + std::to_string(dropout));
  }
  cut(piece, dropout, dropout > 0 ? &rng : nullptr, scratch, ids, ends);
}

std::unique_ptr<Bpe> make_bpe(const TokenizerSpec& spec) {
  if (!spec.scores.empty()) return make_sentencepiece_bpe(spec, kinds_of(spec));
  if (BpeModel::is_byte_level(spec)) return std::make_unique<ByteBpe>(spec);
  return std::make_unique<CharBpe>(spec);
}

}  // namespace llmcore::tokenizer
