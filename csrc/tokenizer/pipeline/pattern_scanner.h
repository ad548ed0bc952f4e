// The scanner of a known split pattern, behind the encoder's interface.
#pragma once

#include <memory>

#include "tokenizer/pipeline/piece_scanner.h"
#include "tokenizer/split/known_pattern.h"

namespace llmcore::tokenizer {

std::unique_ptr<const PieceScanner> make_piece_scanner(KnownPattern pattern);

}  // namespace llmcore::tokenizer
