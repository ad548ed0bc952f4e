// Plain vocabularies: BERT's vocab.txt, GPT-2's vocab.json with merges.txt.
#include <algorithm>
#include <array>

#include "tokenizer/errors.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/known_splits.h"
#include "tokenizer/formats/post_processing.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/aligned_text.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::array<std::string_view, 5> kBertSpecials = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                                           "[MASK]"};
constexpr std::string_view kByteLevelDecoder =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
constexpr std::string_view kClipSplit =
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
constexpr std::string_view kEndOfText = "<|endoftext|>", kStartOfText = "<|startoftext|>";

// Whether a text has an ASCII capital letter; names in brackets do not count.
bool has_capital(const std::string& token) {
  if (token.starts_with('[') && token.ends_with(']')) return false;
  return std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_lowercase(const std::vector<std::string>& tokens) {
  return std::none_of(tokens.begin(), tokens.end(), has_capital);
}

std::string bert_normalizer(bool lowercase) {
  return std::string(R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,)") +
         R"("strip_accents":null,"lowercase":)" + (lowercase ? "true}" : "false}");
}

void add_special(TokenizerSpec& spec, std::string_view content, std::uint32_t id) {
  AddedTokenSpec added;
  added.id = id;
  added.content = content;
  added.special = true;
  spec.added.push_back(std::move(added));
}

std::string clip_normalizer() {
  return R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Lowercase"}]})";
}

std::string clip_pre_tokenizer() {
  return R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)" +
         json_quote(kClipSplit) +
         R"(},"behavior":"Removed","invert":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})";
}

}  // namespace

TokenizerSpec read_vocab_txt(FileBytes bytes, const std::string& name, const ReadOptions& options) {
  std::string_view rest = view_of(bytes);
  const std::size_t valid = valid_utf8_length(rest);
  if (valid != rest.size()) {
    fail_data(name, "UTF-8 text, a token per line", "another byte at " + std::to_string(valid));
  }
  TokenizerSpec spec;
  spec.kind = ModelKind::kWordPiece;
  while (!rest.empty()) spec.tokens.emplace_back(take_line(rest));
  const TokenIndex index(spec.tokens);
  if (index.repeated() != TokenIndex::kAbsent) {
    fail_data(name + ": line " + std::to_string(index.repeated() + 1), "a new token",
              quoted(spec.tokens[index.repeated()]) + " again");
  }
  if (index.find(spec.wordpiece.unk_token) == TokenIndex::kAbsent) {
    fail_data(name, "a vocabulary of BERT with the token \"[UNK]\"", "none");
  }
  for (std::uint32_t id = 0; id < spec.tokens.size(); ++id) {
    if (std::find(kBertSpecials.begin(), kBertSpecials.end(), spec.tokens[id]) !=
        kBertSpecials.end()) {
      add_special(spec, spec.tokens[id], id);
    }
  }
  spec.normalizer = bert_normalizer(options.lowercase.value_or(is_lowercase(spec.tokens)));
  spec.pre_tokenizer = R"({"type":"BertPreTokenizer"})";
  spec.decoder = R"({"type":"WordPiece","prefix":"##","cleanup":true})";
  const std::uint32_t cls = index.find("[CLS]"), sep = index.find("[SEP]");
  if (cls != TokenIndex::kAbsent && sep != TokenIndex::kAbsent) {
    spec.post_processor =
        template_of({SpecialToken{"[CLS]", cls}, SpecialToken{"[SEP]", sep}}, true);
  }
  return spec;
}

std::string write_vocab_txt(const TokenizerSpec& spec) {
  constexpr std::string_view kFormat = "vocab.txt";
  const WordPieceOptions defaults;
  if (spec.kind != ModelKind::kWordPiece) fail_express(kFormat, "a model other than WordPiece");
  if (spec.wordpiece.unk_token != defaults.unk_token ||
      spec.wordpiece.continuing_subword_prefix != defaults.continuing_subword_prefix ||
      spec.wordpiece.max_input_chars_per_word != defaults.max_input_chars_per_word) {
    fail_express(kFormat, "other than [UNK], ## and 100 characters per word");
  }
  const std::string normalizer = compact_json(spec.normalizer, "normalizer");
  if (normalizer != bert_normalizer(is_lowercase(spec.tokens))) {
    fail_express(kFormat, "a normalizer other than BERT's, or a case that its tokens do not tell");
  }
  if (compact_json(spec.pre_tokenizer, "pre_tokenizer") != R"({"type":"BertPreTokenizer"})") {
    fail_express(kFormat, "a pre_tokenizer other than BertPreTokenizer");
  }
  for (const AddedTokenSpec& added : spec.added) {
    const bool is_plain = added.special && !added.normalized && !added.single_word &&
                          !added.lstrip && !added.rstrip && added.id < spec.tokens.size() &&
                          spec.tokens[added.id] == added.content;
    if (!is_plain || std::find(kBertSpecials.begin(), kBertSpecials.end(), added.content) ==
                         kBertSpecials.end()) {
      fail_express(kFormat, "added token " + quoted(added.content));
    }
  }
  std::string out;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    if (token.find_first_of("\n\r") != std::string::npos) {
      fail_express(kFormat, "token " + quoted(token));
    }
    (out += token) += '\n';
  }
  return out;
}

TokenizerSpec read_vocab_json(FileBytes bytes, const std::string& name,
                              const ReadOptions& options) {
  if (options.merges.empty()) {
    throw ConfigError(name + ": merges must be given with a vocab.json, got none");
  }
  const JsonDocument document(JsonDocument::Borrowed{view_of(bytes)}, name);
  // The same checks as of a tokenizer.json with this vocabulary.
  std::string merges;
  std::string_view rest = view_of(options.merges);
  const std::size_t valid = valid_utf8_length(rest);
  if (valid != rest.size()) {
    fail_data(name + ": merges", "UTF-8 text", "another byte at " + std::to_string(valid));
  }
  for (bool is_first = true; !rest.empty(); is_first = false) {
    const std::string_view line = take_line(rest);
    if (line.empty() || (is_first && line.starts_with("#version"))) continue;
    (merges += merges.empty() ? "" : ",") += json_quote(line);
  }
  const bool is_clip = options.end_of_word_suffix == "</w>";
  std::string text = R"({"model":{"type":"BPE","end_of_word_suffix":)";
  text += options.end_of_word_suffix.empty() ? "null" : json_quote(options.end_of_word_suffix);
  if (is_clip) (text += R"(,"unk_token":)") += json_quote(kEndOfText);
  (text += R"(,"vocab":)") += json_text(document.root());
  (text += R"(,"merges":[)") += merges + "]}}";
  TokenizerSpec spec = read_tokenizer_json(as_text(text), name);
  spec.spelling = Spelling::kByteChars;
  spec.pre_tokenizer = !options.pattern.empty() ? pre_tokenizer_of_pattern(options.pattern)
                       : is_clip                ? clip_pre_tokenizer()
                                                : pre_tokenizer_of_pattern("gpt2");
  if (is_clip) spec.normalizer = clip_normalizer();
  spec.decoder = kByteLevelDecoder;
  const TokenIndex index(spec.tokens);
  for (const auto& [content, id] : options.special_tokens) {
    const std::uint32_t own = index.find(content);
    const bool is_free =
        own == TokenIndex::kAbsent && (id >= spec.tokens.size() || spec.tokens[id].empty());
    if (content.empty() || (own != id && !is_free)) {
      throw ConfigError("special_tokens: must fit the vocabulary, got " + quoted(content) + " at " +
                        std::to_string(id));
    }
    add_special(spec, content, id);
  }
  if (options.has_special_tokens) return spec;
  for (const std::string_view content : {kStartOfText, kEndOfText}) {
    const std::uint32_t id = index.find(content);
    if (id != TokenIndex::kAbsent) add_special(spec, content, id);
  }
  return spec;
}

namespace {

void check_gpt2(const TokenizerSpec& spec, std::string_view format) {
  if (spec.kind != ModelKind::kBpe || spec.spelling != Spelling::kByteChars) {
    fail_express(format, "a model other than byte-level BPE");
  }
  const BpeOptions& bpe = spec.bpe;
  const bool is_clip = bpe.end_of_word_suffix == "</w>";
  if (bpe.by_rank) fail_express(format, "merges by rank");
  if (bpe.ignore_merges || bpe.dropout > 0 || !bpe.continuing_subword_prefix.empty() ||
      (!bpe.unk_token.empty() && !is_clip)) {
    fail_express(format, "ignore_merges, dropout, a prefix or unk_token");
  }
  const JsonDocument pre(spec.pre_tokenizer, "pre_tokenizer");
  const Json& root = pre.root();
  const bool is_gpt2 = root["type"].is_string() && root["type"].string() == "ByteLevel" &&
                       !is_true(root["add_prefix_space"]) &&
                       (root["use_regex"].is_null() || is_true(root["use_regex"]));
  if (is_clip ? json_text(root) != clip_pre_tokenizer() : !is_gpt2) {
    fail_express(format, "a pre_tokenizer other than GPT-2's or CLIP's");
  }
  if (compact_json(spec.normalizer, "normalizer") != (is_clip ? clip_normalizer() : "null")) {
    fail_express(format, "a normalizer");
  }
  for (const AddedTokenSpec& added : spec.added) {
    const bool is_known = added.content == kEndOfText || added.content == kStartOfText;
    if (!is_known || added.id >= spec.tokens.size() || spec.tokens[added.id] != added.content) {
      fail_express(format, "added token " + quoted(added.content));
    }
  }
}

}  // namespace

std::string write_vocab_json(const TokenizerSpec& spec) {
  check_gpt2(spec, "vocab.json");
  std::string out;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.tokens[id].empty()) continue;
    (out += out.empty() ? '{' : ',') += json_quote(spec.tokens[id]);
    (out += ':') += std::to_string(id);
  }
  return out.empty() ? "{}" : out + "}";
}

std::string write_merges_txt(const TokenizerSpec& spec) {
  check_gpt2(spec, "merges.txt");
  std::string out = "#version: 0.2\n";
  for (const auto& [left, right] : spec.merges) {
    ((out += spec.tokens[left]) += ' ') += spec.tokens[right];
    out += '\n';
  }
  return out;
}

}  // namespace llmcore::tokenizer
