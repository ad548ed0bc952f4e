// The two ways to apply a charsmap: Hugging Face tokenizers' Precompiled and SentencePiece's own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/normalize/charsmap.h"
#include "tokenizer/normalize/normalizer.h"

namespace llmcore::tokenizer {

std::unique_ptr<Normalizer> make_precompiled(Charsmap charsmap);

// As NormalizerSpec and TrainerSpec of a .model file name them.
struct SentencePieceOptions {
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
  std::vector<std::string> user_defined_symbols;  // pass as they are
};

// Ill-formed bytes become U+FFFD, one each. The span of bytes [b, e) is that of SentencePiece's
// norm_to_orig: from the origin of b to the origin of e.
std::unique_ptr<Normalizer> make_sentencepiece(Charsmap charsmap, SentencePieceOptions options);

}  // namespace llmcore::tokenizer
