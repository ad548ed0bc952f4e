// Encoding by memory where a text has places that part it: what a chunk of the raw text (" word")
// becomes is looked up as it stands, before normaliser, pre-tokenizer and model, which only see new
// chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tokenizer/formats/spec.h"
#include "tokenizer/id_buffer.h"
#include "tokenizer/models/model.h"
#include "tokenizer/models/piece_cache.h"
#include "tokenizer/models/unigram.h"
#include "tokenizer/pipeline/chunk_cuts.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace llmcore::tokenizer {

class ChunkEncoder {
 public:
  // What one thread needs, of one encoder.
  struct Workspace {
    explicit Workspace(ModelScratch& of_model) : scratch(of_model) {}

    PieceCache cache;
    AlignedText text, normalized;
    std::vector<Piece> pieces;
    std::vector<std::uint32_t> steps;  // of a Unigram path
    ModelScratch& scratch;
  };

  // Null where a chunk's ids may depend on the chunks around it.
  static std::unique_ptr<const ChunkEncoder> make(const TokenizerSpec& spec,
                                                  const ChunkParts& parts);

  // Appends the ids of a text without added tokens.
  void encode(Text text, Workspace& work, IdBuffer& ids) const;

 private:
  ChunkEncoder(const ChunkParts& parts, const ChunkScanner& scanner);

  template <bool kScored>
  void encode_chunks(Text text, Workspace& work, IdBuffer& ids) const;
  template <bool kScored>
  void encode_new(Text chunk, bool is_first, bool keeps, const PieceKey& key, Workspace& work,
                  IdBuffer& ids, double& score) const;
  double encode_parts(Text chunk, bool is_first, Workspace& work, IdBuffer& ids,
                      double& score) const;

  ChunkParts parts_;
  ChunkScanner scanner_;
  SpaceCut space_cut_;
  // One path over all chunks: each one's ids hold below a limit of the score before it.
  const UnigramModel* scored_ = nullptr;
};

}  // namespace llmcore::tokenizer
