// Normalizers that look at one character at a time, and BertNormalizer.
#pragma once

#include <memory>
#include <optional>

#include "tokenizer/normalize/normalizer.h"

namespace llmcore::tokenizer {

std::unique_ptr<Normalizer> make_lowercase();
std::unique_ptr<Normalizer> make_nmt();
std::unique_ptr<Normalizer> make_strip_accents();
std::unique_ptr<Normalizer> make_byte_level();

struct BertOptions {
  bool clean_text = true, handle_chinese_chars = true, lowercase = true;
  std::optional<bool> strip_accents;  // none: as lowercase
};

std::unique_ptr<Normalizer> make_bert(const BertOptions& options);

}  // namespace llmcore::tokenizer
