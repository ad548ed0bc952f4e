#include "tokenizer/formats/formats.h"

#include <algorithm>
#include <array>

#include "tokenizer/errors.h"
#include "tokenizer/formats/base64.h"
#include "tokenizer/formats/protobuf.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/aligned_text.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::array<std::pair<Format, std::string_view>, 8> kNames = {
    {{Format::kTiktoken, "tiktoken"},
     {Format::kTokenizerJson, "tokenizer.json"},
     {Format::kSentencePiece, "sentencepiece"},
     {Format::kGguf, "gguf"},
     {Format::kVocabTxt, "vocab.txt"},
     {Format::kVocabJson, "vocab.json"},
     {Format::kMergesTxt, "merges.txt"},
     {Format::kMetadata, "llmcore"}}};

// Text formats are told by their first lines.
constexpr std::size_t kLinesSeen = 16;
constexpr std::size_t kBytesSeen = 1 << 16;

// Fields of ModelProto to the end of the file, pieces among them.
bool is_sentencepiece(std::string_view text) {
  ProtoReader reader(text);
  bool has_pieces = false;
  for (ProtoField field; reader.next(field);) {
    if (field.wire != 2) return false;
    has_pieces |= field.number == 1;
  }
  return has_pieces && !reader.failed();
}

bool is_rank_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size()) return false;
  std::string bytes;
  const std::string_view rank = line.substr(space + 1);
  return append_base64_bytes(line.substr(0, space), bytes) &&
         std::all_of(rank.begin(), rank.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_merge_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  return space != std::string_view::npos && space > 0 && space + 1 < line.size() &&
         line.find(' ', space + 1) == std::string_view::npos;
}

// The first member of an object tells a vocabulary (a number) from a tokenizer.json.
Format json_format(std::string_view text) {
  std::size_t at = text.find_first_of("\"}", text.find('{'));
  if (at == std::string_view::npos || text[at] == '}') return Format::kTokenizerJson;
  if (text.substr(at).starts_with("\"llmcore_tokenizer\"")) return Format::kMetadata;
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\' ? 1 : 0;
  at = text.find(':', std::min(at, text.size()));
  at = at == std::string_view::npos ? at : text.find_first_not_of(" \t\r\n", at + 1);
  const bool is_number = at != std::string_view::npos && text[at] >= '0' && text[at] <= '9';
  return is_number ? Format::kVocabJson : Format::kTokenizerJson;
}

Format line_format(std::string_view text) {
  if (text.starts_with("#version")) return Format::kMergesTxt;
  std::size_t num_lines = 0, num_ranks = 0, num_merges = 0;
  std::string_view rest = text.substr(0, kBytesSeen);
  while (!rest.empty() && num_lines < kLinesSeen) {
    const std::string_view line = take_line(rest);
    if (line.empty()) continue;
    ++num_lines;
    num_ranks += is_rank_line(line) ? 1 : 0;
    num_merges += is_merge_line(line) ? 1 : 0;
  }
  if (num_lines == 0) return Format::kUnknown;
  // One line may be damaged: the reader then says which.
  if (num_ranks > 0 && num_ranks + 1 >= num_lines) return Format::kTiktoken;
  if (num_merges == num_lines) return Format::kMergesTxt;
  return valid_utf8_length(text) == text.size() && text.find('\0') == std::string_view::npos
             ? Format::kVocabTxt
             : Format::kUnknown;
}

}  // namespace

std::string_view format_name(Format format) {
  for (const auto& [known, name] : kNames) {
    if (known == format) return name;
  }
  return "unknown";
}

Format format_of_name(std::string_view name) {
  std::string all;
  for (const auto& [format, known] : kNames) {
    if (known == name) return format;
    all += (all.empty() ? "" : ", ") + std::string(known);
  }
  throw ConfigError("format: must be one of " + all + ", got " + quoted(name));
}

Format detect_format(FileBytes bytes) {
  std::string_view text = view_of(bytes);
  if (text.starts_with("GGUF")) return Format::kGguf;
  if (is_sentencepiece(text)) return Format::kSentencePiece;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return Format::kUnknown;
  if (text[start] == '{') {
    // A vocabulary may begin with a brace too, but then not with a name in quotes.
    const std::size_t next = text.find_first_not_of(" \t\r\n", start + 1);
    if (next != std::string_view::npos && (text[next] == '"' || text[next] == '}')) {
      return json_format(text.substr(start));
    }
  }
  return line_format(text);
}

TokenizerSpec read_tokenizer(FileBytes bytes, const std::string& name, const ReadOptions& options) {
  switch (detect_format(bytes)) {
    case Format::kTiktoken:
      return read_tiktoken(bytes, name, options);
    case Format::kTokenizerJson: {
      TokenizerSpec spec = read_tokenizer_json(bytes, name);
      if (!options.metadata.empty()) apply_metadata(spec, options.metadata, name);
      return spec;
    }
    case Format::kSentencePiece:
      return read_sentencepiece(bytes, name);
    case Format::kGguf:
      return read_gguf(bytes, name, options);
    case Format::kVocabTxt:
      return read_vocab_txt(bytes, name, options);
    case Format::kVocabJson:
      return read_vocab_json(bytes, name, options);
    case Format::kMergesTxt:
      fail_data(name, "a vocabulary", "merges, which go with a vocab.json");
    case Format::kMetadata:
      fail_data(name, "a vocabulary", "metadata, which go with a tokenizer.json");
    case Format::kUnknown:
      break;
  }
  fail_data(name,
            "tiktoken ranks, tokenizer.json, a SentencePiece model, GGUF, vocab.txt or vocab.json",
            bytes.empty() ? "an empty file" : "a file of no known format");
}

namespace {

std::string write(const TokenizerSpec& spec, Format format) {
  switch (format) {
    case Format::kTiktoken:
      return write_tiktoken(spec);
    case Format::kTokenizerJson:
      return write_tokenizer_json(spec);
    case Format::kSentencePiece:
      return write_sentencepiece(spec);
    case Format::kGguf:
      return write_gguf(spec);
    case Format::kVocabTxt:
      return write_vocab_txt(spec);
    case Format::kVocabJson:
      return write_vocab_json(spec);
    case Format::kMergesTxt:
      return write_merges_txt(spec);
    case Format::kMetadata:
      return write_metadata(spec);
    case Format::kUnknown:
      break;
  }
  throw ConfigError("format: must be known, got unknown");
}

}  // namespace

std::string write_tokenizer(const TokenizerSpec& spec, Format format) {
  std::string file = write(spec, format);
  if (file.empty() && format == Format::kMetadata) return file;
  if (detect_format(as_text(file)) != format) {
    fail_express(format_name(format), "a vocabulary by whose content its file is not recognised");
  }
  return file;
}

}  // namespace llmcore::tokenizer
