// Every kind of BPE behind one door: over bytes with a merge list or ranks, over characters as
// Hugging Face tokenizers does it, over whole sentences as sentencepiece does it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/spec.h"
#include "tokenizer/models/bpe_merge.h"
#include "tokenizer/models/model.h"

namespace llmcore::tokenizer {

class BpeModel;

struct BpeScratch : ModelScratch {
  MergeScratch merge;
  DropoutRng rng;  // of models with dropout: set it for reproducible samples
  std::vector<std::uint32_t> ids, lens;
};

class Bpe : public Model {
 public:
  std::unique_ptr<ModelScratch> make_scratch() const override;
  // Without dropout where the model has none, else one sample from the scratch's generator.
  void encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
              std::vector<std::uint32_t>* ends) const final;
  // BPE-dropout (Provilkov et al. 2020): each merge is passed over with probability `dropout`.
  // The same generator gives the same tokens. As the reference package of each kind does it.
  void sample(Text piece, double dropout, DropoutRng& rng, BpeScratch& scratch, IdBuffer& ids,
              std::vector<std::uint32_t>* ends) const;
  double dropout() const { return dropout_; }
  // The vocabulary over bytes, where it is one.
  virtual const BpeModel* byte_model() const { return nullptr; }

 protected:
  explicit Bpe(double dropout);

 private:
  // `rng` null: without dropout.
  virtual void cut(Text piece, double dropout, DropoutRng* rng, BpeScratch& scratch, IdBuffer& ids,
                   std::vector<std::uint32_t>* ends) const = 0;
  double dropout_;
};

// Of a spec whose kind is kBpe: sentencepiece's where it has scores, over bytes where its tokens
// spell bytes, else over characters. Throws DataError.
std::unique_ptr<Bpe> make_bpe(const TokenizerSpec& spec);

// `kinds[i]` is the kind of tokens[i]. make_bpe reads them off the spec: `extra` may hold a list
// "piece_kinds"; else the unknown token, <0xAB> with byte fallback, special added tokens (control)
// and other added tokens (user-defined) are told apart.
std::unique_ptr<Bpe> make_sentencepiece_bpe(const TokenizerSpec& spec,
                                            const std::vector<PieceType>& kinds);

}  // namespace llmcore::tokenizer
