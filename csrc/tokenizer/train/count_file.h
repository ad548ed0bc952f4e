// Word counts as a file, so that parts of a text can be counted apart and added up exactly.
//
//   "LLMCWC01"  u64 number of words  two texts (normaliser, pre-tokenizer: u64 size, bytes)
//   per word, in the order of their bytes: varint size, bytes, varint count
//   SHA-256 of all that, 64 hexadecimal digits
//
// Numbers are little-endian; a varint has seven bits a byte, low ones first.
#pragma once

#include <span>
#include <string>

#include "tokenizer/train/word_counter.h"

namespace llmcore::tokenizer {

// Equal counts give equal bytes, whatever the threads were.
std::string write_counts(WordCounter& counter);

// `name` stands in messages. Throws DataError for a file that is damaged or not one of these.
WordCounter read_counts(std::span<const std::uint8_t> bytes, const std::string& name,
                        unsigned num_threads);

}  // namespace llmcore::tokenizer
