// Byte-level BPE at speed: the scanner's pieces, each through a cache of pieces seen before.
#pragma once

#include "tokenizer/id_buffer.h"
#include "tokenizer/models/bpe_model.h"
#include "tokenizer/models/piece_cache.h"
#include "tokenizer/pipeline/piece_scanner.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::tokenizer {

// What one thread needs: the piece cache and the merge buffers, of one model.
struct PieceWorkspace {
  PieceCache cache;
  MergeScratch scratch;
};

// Appends the ids of `text`, which holds no added token.
void encode_pieces(const BpeModel& model, const PieceScanner& scanner, Text text,
                   PieceWorkspace& work, IdBuffer& out);

}  // namespace llmcore::tokenizer
