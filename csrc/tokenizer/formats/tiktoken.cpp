// Files of tiktoken: one line per token, its bytes in base64 and its rank.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "tokenizer/errors.h"
#include "tokenizer/formats/base64.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/known_splits.h"
#include "tokenizer/formats/sha256.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {
namespace {

using Specials = std::vector<std::pair<std::string, std::uint32_t>>;

// Files by the SHA-256 that tiktoken 0.14 checks (Llama-3: as published with its weights).
struct KnownFile {
  std::string_view name;
  std::size_t num_tokens;
  std::string_view sha256;
};

constexpr std::array<KnownFile, 5> kKnownFiles = {{
    {"r50k_base", 50256, "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"},
    {"p50k_base", 50280, "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"},
    {"cl100k_base", 100256, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"},
    {"o200k_base", 199998, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"},
    {"llama3", 128000, "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"},
}};

std::string_view known_name(FileBytes bytes, std::size_t num_tokens) {
  for (const KnownFile& file : kKnownFiles) {
    if (file.num_tokens == num_tokens && sha256_hex(bytes) == file.sha256) return file.name;
  }
  return {};
}

// The names of Llama 3.1 and later; Llama 3.0 reserves 128004 and 128008 under other names.
Specials llama3_specials() {
  const auto reserved = [](int i) {
    return "<|reserved_special_token_" + std::to_string(i) + "|>";
  };
  const std::vector<std::string> first = {"<|begin_of_text|>",
                                          "<|end_of_text|>",
                                          reserved(0),
                                          reserved(1),
                                          "<|finetune_right_pad_id|>",
                                          reserved(2),
                                          "<|start_header_id|>",
                                          "<|end_header_id|>",
                                          "<|eom_id|>",
                                          "<|eot_id|>",
                                          "<|python_tag|>"};
  Specials specials;
  for (std::uint32_t i = 0; i < 256; ++i) {
    specials.emplace_back(i < first.size() ? first[i] : reserved(static_cast<int>(i) - 8),
                          128000 + i);
  }
  return specials;
}

Specials known_specials(std::string_view name) {
  if (name == "cl100k_base") {
    return {{"<|endoftext|>", 100257},
            {"<|fim_prefix|>", 100258},
            {"<|fim_middle|>", 100259},
            {"<|fim_suffix|>", 100260},
            {"<|endofprompt|>", 100276}};
  }
  if (name == "o200k_base") return {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}};
  if (name == "llama3") return llama3_specials();
  return {{"<|endoftext|>", 50256}};
}

// UTF-8 of the character that stands for each byte, and its length.
struct ByteSpelling {
  std::array<std::array<char, 2>, 256> chars{};
  std::array<std::uint8_t, 256> sizes{};
};

constexpr ByteSpelling make_spelling() {
  ByteSpelling spelling;
  for (std::size_t b = 0; b < 256; ++b) {
    const unsigned c = kByteChars[b];
    spelling.sizes[b] = c < 0x80 ? 1 : 2;
    spelling.chars[b][0] = static_cast<char>(c < 0x80 ? c : 0xC0 | c >> 6);
    spelling.chars[b][1] = static_cast<char>(0x80 | (c & 0x3F));
  }
  return spelling;
}

constexpr ByteSpelling kSpelling = make_spelling();

// The same as bytes_to_text, into room that the text then fills exactly.
void spell(std::string_view bytes, std::string& token, std::string& buffer) {
  buffer.resize(std::max(buffer.size(), 2 * bytes.size() + 2));
  char* out = buffer.data();
  for (const char byte : bytes) {
    const auto b = static_cast<std::uint8_t>(byte);
    std::memcpy(out, kSpelling.chars[b].data(), 2);
    out += kSpelling.sizes[b];
  }
  token.assign(buffer.data(), static_cast<std::size_t>(out - buffer.data()));
}

struct Line {
  std::uint32_t rank = 0;
  std::size_t begin = 0, size = 0;  // of the token in all decoded bytes
};

class RankReader {
 public:
  RankReader(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  void read() {
    lines_.reserve(rest_.size() / 16);
    bytes_.reserve(rest_.size() / 2);
    while (!rest_.empty()) {
      const std::string_view line = take_line(rest_);
      ++line_number_;
      if (!line.empty()) read_line(line);
    }
    if (lines_.empty()) fail_data(name_, "lines of a base64 token and its rank", "no line");
  }

  std::vector<std::string> tokens() const {
    const std::uint64_t most = max_id(lines_.size());
    std::uint32_t last = 0;
    for (const Line& line : lines_) last = std::max(last, line.rank);
    if (last > most) {
      fail_data(name_ + ": rank",
                "at most " + std::to_string(most) + " in a file of " +
                    std::to_string(lines_.size()) + " tokens",
                std::to_string(last));
    }
    std::vector<std::string> tokens(last + std::size_t{1});
    std::string buffer;
    for (const Line& line : lines_) {
      std::string& token = tokens[line.rank];
      if (!token.empty())
        fail_data(name_ + ": rank", "given once", std::to_string(line.rank) + " twice");
      spell(std::string_view(bytes_).substr(line.begin, line.size), token, buffer);
    }
    const TokenIndex index(tokens);
    if (index.repeated() != TokenIndex::kAbsent) {
      fail_data(name_ + ": token", "given once", quoted(tokens[index.repeated()]) + " twice");
    }
    return tokens;
  }
  std::size_t num_tokens() const { return lines_.size(); }

 private:
  void read_line(std::string_view line) {
    const std::size_t space = line.find(' ');
    const std::size_t size = std::min(space, line.size());
    Line entry{0, bytes_.size(), 0};
    const bool is_base64 = size > 0 && append_base64_bytes(line.substr(0, size), bytes_);
    const char* first = line.data() + std::min(size + 1, line.size());
    const char* last = line.data() + line.size();
    const auto [end, error] = std::from_chars(first, last, entry.rank);
    if (!is_base64 || error != std::errc{} || end != last || entry.rank == UINT32_MAX) {
      fail_data(name_ + ": line " + std::to_string(line_number_), "a base64 token and its rank",
                quoted(line));
    }
    entry.size = bytes_.size() - entry.begin;
    lines_.push_back(entry);
  }

  std::string_view rest_;
  const std::string& name_;
  std::size_t line_number_ = 0;
  std::vector<Line> lines_;
  std::string bytes_;
};

void add_specials(TokenizerSpec& spec, const Specials& specials) {
  for (const auto& [content, id] : specials) {
    const bool is_taken = id < spec.tokens.size() && !spec.tokens[id].empty();
    if (content.empty() || is_taken) {
      throw ConfigError("special_tokens: must be new ids with texts, got " + quoted(content) +
                        " at " + std::to_string(id));
    }
    for (const AddedTokenSpec& other : spec.added) {
      if (other.id == id || other.content == content) {
        throw ConfigError("special_tokens: must be distinct, got " + quoted(content) + " at " +
                          std::to_string(id) + " after " + quoted(other.content) + " at " +
                          std::to_string(other.id));
      }
    }
    AddedTokenSpec added;
    added.id = id;
    added.content = content;
    added.special = true;
    spec.added.push_back(std::move(added));
  }
}

}  // namespace

TokenizerSpec read_tiktoken(FileBytes bytes, const std::string& name, const ReadOptions& options) {
  RankReader reader(view_of(bytes), name);
  reader.read();
  TokenizerSpec spec;
  spec.spelling = Spelling::kByteChars;
  spec.tokens = reader.tokens();
  spec.bpe.by_rank = true;
  spec.bpe.ignore_merges = true;
  std::string_view known;
  if (options.pattern.empty() || !options.has_special_tokens) {
    known = known_name(bytes, reader.num_tokens());
  }
  const std::string_view pattern = options.pattern.empty() ? known : options.pattern;
  if (pattern.empty()) {
    throw ConfigError(name +
                      ": pattern must be given for a rank file that is not known by its "
                      "hash, got none");
  }
  spec.pre_tokenizer = pre_tokenizer_of_pattern(pattern);
  if (options.has_special_tokens) {
    add_specials(spec, options.special_tokens);
  } else if (!known.empty()) {
    add_specials(spec, known_specials(known));
  }
  spec.post_processor =
      known == "llama3" && !options.has_special_tokens
          ? R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|begin_of_text|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"SpecialToken":{"id":"<|begin_of_text|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|begin_of_text|>","type_id":1}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<|begin_of_text|>":{"id":"<|begin_of_text|>","ids":[128000],"tokens":["<|begin_of_text|>"]}}})"
          : "null";
  spec.decoder =
      R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
  spec.extra = json_object(
      {{"source", R"("tiktoken")"}, {"encoding", known.empty() ? "" : json_quote(known)}});
  return spec;
}

namespace {

// Whether merging by rank gives what the merge list gives: see merges_of_ranks.
void check_ranks(const TokenizerSpec& spec, const std::vector<std::string>& tokens) {
  std::vector<std::uint32_t> unreachable;
  const std::vector<Merge> by_rank = merges_of_ranks(tokens, &unreachable);
  if (!unreachable.empty() && !spec.bpe.ignore_merges) {
    fail_express("tiktoken",
                 "token " + quoted(tokens[unreachable[0]]) + ", which no merge reaches");
  }
  if (by_rank != spec.merges) {
    fail_express("tiktoken", "merges whose order is not that of the ids they make");
  }
}

}  // namespace

std::string write_tiktoken(const TokenizerSpec& spec) {
  if (spec.kind != ModelKind::kBpe || spec.spelling != Spelling::kByteChars) {
    fail_express("tiktoken", "a model other than byte-level BPE");
  }
  if (!spec.bpe.unk_token.empty() || !spec.bpe.continuing_subword_prefix.empty() ||
      !spec.bpe.end_of_word_suffix.empty() || spec.bpe.dropout > 0) {
    fail_express("tiktoken", "unk_token, continuing_subword_prefix, end_of_word_suffix or dropout");
  }
  if (spec.normalizer != "null") fail_express("tiktoken", "a normalizer");
  const std::vector<std::string> tokens = rank_tokens(spec);
  if (!spec.bpe.by_rank) check_ranks(spec, tokens);
  std::string out, bytes;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
    if (!text_to_bytes(tokens[id], bytes)) {
      fail_express("tiktoken", "token " + quoted(tokens[id]) + ", which is not in byte characters");
    }
    ((out += to_base64(bytes)) += ' ') += std::to_string(id);
    out += '\n';
  }
  return out;
}

}  // namespace llmcore::tokenizer
