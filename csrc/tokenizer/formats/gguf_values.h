// The metadata of a GGUF file (versions 2 and 3, little endian): keys and typed values.
// Source: github.com/ggml-org/ggml, docs/gguf.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/formats/formats.h"

namespace llmcore::tokenizer {

enum class GgufType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

struct GgufValue {
  GgufType type = GgufType::kUint8;  // of the value, or of the items of a list
  bool is_list = false;
  std::uint64_t count = 1;
  std::string_view bytes;               // items of fixed size, as in the file
  std::vector<std::string_view> texts;  // items of type string

  bool is_integer() const;
  // Item i; the type must fit.
  std::int64_t integer(std::size_t i = 0) const;
  float float32(std::size_t i = 0) const;
};

// A role of a special token, and its key ("seperator" is theirs).
struct GgufRole {
  std::string_view name, key;
};
inline constexpr std::array<GgufRole, 9> kGgufRoles = {
    {{"bos", "tokenizer.ggml.bos_token_id"},
     {"eos", "tokenizer.ggml.eos_token_id"},
     {"unk", "tokenizer.ggml.unknown_token_id"},
     {"sep", "tokenizer.ggml.seperator_token_id"},
     {"pad", "tokenizer.ggml.padding_token_id"},
     {"cls", "tokenizer.ggml.cls_token_id"},
     {"mask", "tokenizer.ggml.mask_token_id"},
     {"eot", "tokenizer.ggml.eot_token_id"},
     {"eom", "tokenizer.ggml.eom_token_id"}}};

// U+2581, which begins a word in SentencePiece's vocabularies and in BERT's.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// Keys that begin with `prefix`. The views are of `bytes`. Throws DataError for what is no GGUF, is
// damaged or ends before its metadata does.
std::map<std::string_view, GgufValue> read_gguf_values(FileBytes bytes, std::string_view prefix,
                                                       const std::string& name);

// Builds a file without tensors.
class GgufWriter {
 public:
  void add_text(std::string_view key, std::string_view text);
  void add_uint32(std::string_view key, std::uint32_t value);
  void add_bool(std::string_view key, bool value);
  void add_texts(std::string_view key, const std::vector<std::string>& texts);
  void add_floats(std::string_view key, const std::vector<float>& values);
  void add_int32s(std::string_view key, const std::vector<std::int32_t>& values);
  void add_bytes(std::string_view key, std::string_view bytes);
  std::string file() const;

 private:
  void put(std::uint64_t value, unsigned size);
  void put_text(std::string_view text);
  void start(std::string_view key, GgufType type);
  void start_list(std::string_view key, GgufType type, std::size_t count);

  std::string out_;
  std::uint64_t num_values_ = 0;
};

}  // namespace llmcore::tokenizer
