// A tiny valid file of every format, and tokenizers of every kind read from them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/formats/formats.h"
#include "tokenizer/pipeline/pipeline.h"

namespace llmcore::test {

struct SmallFile {
  std::string name;
  tokenizer::Format format = tokenizer::Format::kUnknown;
  std::string bytes;
  std::string beside;  // the merges or metadata that lie beside it
};

// One or more for each format; names are unique.
std::vector<SmallFile> small_files();
tokenizer::ReadOptions options_of(const SmallFile& file);
tokenizer::TokenizerSpec read_small(const SmallFile& file);

struct SmallTokenizer {
  std::string name;
  std::shared_ptr<const tokenizer::Pipeline> pipeline;
  bool keeps_bytes = false;  // decoding gives back any bytes
};

// Of every model and both arithmetics of each.
std::vector<SmallTokenizer> small_tokenizers();

// All added tokens allowed.
tokenizer::EncodeOptions allow_all(const tokenizer::Pipeline& pipeline);

}  // namespace llmcore::test
