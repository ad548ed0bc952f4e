// WordPiece: the longest token first, over and over, in one pass over the word.
// Source: Song et al. 2021, "Fast WordPiece tokenization", arXiv:2012.15524 (LinMaxMatch).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/models/byte_trie.h"
#include "tokenizer/models/model.h"

namespace llmcore::tokenizer {

class WordPieceModel final : public Model {
 public:
  explicit WordPieceModel(const TokenizerSpec& spec);

  std::unique_ptr<ModelScratch> make_scratch() const override;
  // Throws DataError where the word is unknown and the vocabulary lacks the unknown token.
  void encode(Text piece, ModelScratch& scratch, IdBuffer& ids,
              std::vector<std::uint32_t>* ends) const override;
  std::size_t size() const override { return lengths_.size(); }

 private:
  // The tokens to write when a walk leaves a node whose children lack the next byte: those of
  // `previous`, then `count` of pops_ from `begin`; `total` of all.
  struct Pops {
    std::uint32_t previous = 0, begin = 0, count = 0, total = 0;
  };
  // Of a trie node: where the walk goes on once its pops are written.
  struct Failure {
    std::uint32_t node = kNowhere, pops = 0;
  };
  static constexpr std::uint32_t kNowhere = 0xFFFFFFFF;

  void build_trie(const TokenizerSpec& spec);
  void find_failures();
  Failure failure_of(const Failure& parent, std::uint8_t byte, std::uint32_t child);
  std::uint32_t add_pops(std::uint32_t previous, const std::vector<std::uint32_t>& ids);
  std::uint32_t* write_pops(std::uint32_t pops, std::uint32_t* out) const;
  std::uint32_t* match(Text word, std::uint32_t* out) const;

  std::optional<std::uint32_t> unk_id_;
  std::uint64_t max_chars_;
  std::uint32_t prefix_size_ = 0;
  std::vector<std::uint32_t> lengths_;  // of token texts, in bytes
  // Two tries in one: token texts, which may begin a word, below first_; below rest_
  // continuations without their prefix.
  std::unique_ptr<const ByteTrie> trie_;
  std::uint32_t first_ = 0, rest_ = 0;
  std::vector<Failure> failures_;  // by node
  std::vector<Pops> pop_lists_;    // list 0 is empty
  std::vector<std::uint32_t> pops_;
};

std::unique_ptr<Model> make_wordpiece(const TokenizerSpec& spec);

}  // namespace llmcore::tokenizer
