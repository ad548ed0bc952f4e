// Writes tokenizer.json as `tokenizers` 0.23 does, and the metadata that it has no place for.
#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/spec_building.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kFormat = "tokenizer.json";

// Tokens of the file: those of the model, and added ones where the file would number them anew.
std::vector<std::string> file_tokens(const TokenizerSpec& spec) {
  std::vector<std::string> tokens = spec.tokens;
  const bool is_list = spec.kind == ModelKind::kUnigram;
  const TokenIndex index(tokens);
  const auto num_entries = static_cast<std::uint64_t>(
      std::count_if(tokens.begin(), tokens.end(), [](const auto& t) { return !t.empty(); }));
  std::uint64_t next = num_entries;
  bool in_order = !is_list || num_entries == tokens.size();
  for (const AddedTokenSpec& added : spec.added) {
    const std::uint32_t own = index.find(added.content);
    in_order &= added.id == (own == TokenIndex::kAbsent ? next : own);
    next = std::max<std::uint64_t>(next, added.id + std::uint64_t{1});
  }
  if (in_order) return tokens;
  for (const AddedTokenSpec& added : spec.added) {
    if (added.id >= tokens.size()) {
      if (added.id > max_id(tokens.size() + spec.added.size())) {
        fail_express(kFormat, "an added token with id " + std::to_string(added.id));
      }
      tokens.resize(added.id + std::size_t{1});
    }
    std::string& token = tokens[added.id];
    if (!token.empty() && token != added.content) {
      fail_express(kFormat,
                   "added token " + quoted(added.content) + " under the id of " + quoted(token));
    }
    token = added.content;
  }
  return tokens;
}

void append_vocab(std::string& out, const std::vector<std::string>& tokens) {
  char separator = '{';
  out += R"("vocab":)";
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
    ((out += separator) += json_quote(tokens[id])) += ':';
    out += std::to_string(id);
    separator = ',';
  }
  out += separator == '{' ? "{}" : "}";
}

std::string optional_quote(const std::string& text) {
  return text.empty() ? "null" : json_quote(text);
}

void append_bpe(std::string& out, const TokenizerSpec& spec,
                const std::vector<std::string>& tokens) {
  const BpeOptions& bpe = spec.bpe;
  out += R"({"type":"BPE","dropout":)";
  if (bpe.dropout > 0) {
    append_json_number(out, static_cast<double>(bpe.dropout));
  } else {
    out += "null";
  }
  ((out += R"(,"unk_token":)") += optional_quote(bpe.unk_token)) +=
      R"(,"continuing_subword_prefix":)";
  (out += optional_quote(bpe.continuing_subword_prefix)) += R"(,"end_of_word_suffix":)";
  (out += optional_quote(bpe.end_of_word_suffix)) += R"(,"fuse_unk":)";
  (out += json_bool(bpe.fuse_unk)) += R"(,"byte_fallback":)";
  (out += json_bool(bpe.byte_fallback)) += R"(,"ignore_merges":)";
  (out += json_bool(bpe.ignore_merges)) += ',';
  append_vocab(out, tokens);
  out += R"(,"merges":[)";
  bool is_first = true;
  for (const auto& [left, right] : spec.merges) {
    out += is_first ? "[" : ",[";
    (out += json_quote(tokens[left])) += ',';
    (out += json_quote(tokens[right])) += ']';
    is_first = false;
  }
  out += "]}";
}

void append_word_piece(std::string& out, const TokenizerSpec& spec,
                       const std::vector<std::string>& tokens) {
  (out += R"({"type":"WordPiece","unk_token":)") += json_quote(spec.wordpiece.unk_token);
  (out += R"(,"continuing_subword_prefix":)") +=
      json_quote(spec.wordpiece.continuing_subword_prefix);
  out += R"(,"max_input_chars_per_word":)";
  (out += std::to_string(spec.wordpiece.max_input_chars_per_word)) += ',';
  append_vocab(out, tokens);
  out += '}';
}

void append_unigram(std::string& out, const TokenizerSpec& spec,
                    const std::vector<std::string>& tokens) {
  out += R"({"type":"Unigram","unk_id":)";
  out += spec.unigram.unk_id < 0 ? "null" : std::to_string(spec.unigram.unk_id);
  out += R"(,"vocab":[)";
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || id >= spec.scores.size()) {
      fail_express(kFormat,
                   "a Unigram vocabulary in which id " + std::to_string(id) + " has no token");
    }
    ((out += id == 0 ? "[" : ",[") += json_quote(tokens[id])) += ',';
    append_json_number(out, spec.scores[id]);
    out += ']';
  }
  (out += R"(],"byte_fallback":)") += json_bool(spec.unigram.byte_fallback);
  out += '}';
}

void append_added(std::string& out, const TokenizerSpec& spec) {
  bool is_first = true;
  out += R"("added_tokens":[)";
  for (const AddedTokenSpec& added : spec.added) {
    (out += is_first ? R"({"id":)" : R"(,{"id":)") += std::to_string(added.id);
    (out += R"(,"content":)") += json_quote(added.content);
    (out += R"(,"single_word":)") += json_bool(added.single_word);
    (out += R"(,"lstrip":)") += json_bool(added.lstrip);
    (out += R"(,"rstrip":)") += json_bool(added.rstrip);
    (out += R"(,"normalized":)") += json_bool(added.normalized);
    (out += R"(,"special":)") += json_bool(added.special);
    out += '}';
    is_first = false;
  }
  out += ']';
}

bool is_sentencepiece(const Json& normalizer) {
  return normalizer["type"].is_string() && normalizer["type"].string() == "SentencePiece";
}

// SentencePiece's normalizer from the steps that `tokenizers` knows.
std::string hugging_face_normalizer(const std::string& text) {
  const JsonDocument document(text, "normalizer");
  const Json& normalizer = document.root();
  if (!is_sentencepiece(normalizer)) return text;
  const auto is_set = [&](std::string_view field) { return is_true(normalizer[field]); };
  if (is_set("treat_whitespace_as_suffix")) fail_express(kFormat, "treat_whitespace_as_suffix");
  std::vector<std::string> steps;
  const Json& charsmap = normalizer["precompiled_charsmap"];
  if (charsmap.is_string() && !charsmap.string().empty()) {
    steps.push_back(R"({"type":"Precompiled","precompiled_charsmap":)" + json_text(charsmap) + "}");
  }
  if (is_set("remove_extra_whitespaces")) {
    steps.push_back(R"({"type":"Strip","strip_left":true,"strip_right":true})");
    steps.push_back(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})");
  }
  const bool escapes = is_set("escape_whitespaces");
  if (is_set("add_dummy_prefix")) {
    steps.push_back(std::string(R"({"type":"Prepend","prepend":")") + (escapes ? "▁" : " ") +
                    R"("})");
  }
  if (escapes) steps.push_back(R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})");
  std::string out = R"({"type":"Sequence","normalizers":[)";
  for (std::size_t i = 0; i < steps.size(); ++i) (out += i == 0 ? "" : ",") += steps[i];
  return out + "]}";
}

std::string or_null(const std::string& text) {
  return text.empty() ? "null" : text;
}

}  // namespace

std::string write_tokenizer_json(const TokenizerSpec& original) {
  const TokenizerSpec spec = with_merge_list(original);
  const std::vector<std::string> tokens = file_tokens(spec);
  std::string out = R"({"version":"1.0","truncation":)";
  (out += or_null(extra_member(spec, "truncation"))) += R"(,"padding":)";
  (out += or_null(extra_member(spec, "padding"))) += ',';
  append_added(out, spec);
  (out += R"(,"normalizer":)") += hugging_face_normalizer(spec.normalizer);
  (out += R"(,"pre_tokenizer":)") += spec.pre_tokenizer;
  (out += R"(,"post_processor":)") += spec.post_processor;
  (out += R"(,"decoder":)") += spec.decoder;
  out += R"(,"model":)";
  switch (spec.kind) {
    case ModelKind::kBpe:
      append_bpe(out, spec, tokens);
      break;
    case ModelKind::kWordPiece:
      append_word_piece(out, spec, tokens);
      break;
    case ModelKind::kUnigram:
      append_unigram(out, spec, tokens);
      break;
  }
  return out + "}";
}

std::string write_metadata(const TokenizerSpec& spec) {
  const JsonDocument normalizer(spec.normalizer, "normalizer");
  const JsonDocument extra(spec.extra, "extra");
  const bool by_rank = spec.kind == ModelKind::kBpe && spec.bpe.by_rank;
  const bool has_extra = std::any_of(
      extra.root().members().begin(), extra.root().members().end(), [](const JsonMember& member) {
        return member.name != "truncation" && member.name != "padding";
      });
  const bool has_scores = spec.kind == ModelKind::kBpe && !spec.scores.empty();
  if (!by_rank && !has_extra && !has_scores && !is_sentencepiece(normalizer.root())) return {};
  std::string hidden, scores;
  const std::vector<std::string> tokens = file_tokens(spec);
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || (id < spec.tokens.size() && !spec.tokens[id].empty())) continue;
    (hidden += hidden.empty() ? '[' : ',') += std::to_string(id);
  }
  if (!hidden.empty()) hidden += ']';
  if (has_scores) {
    for (const double score : spec.scores) {
      scores += scores.empty() ? '[' : ',';
      append_json_number(scores, score);
    }
    scores += ']';
  }
  return json_object({{"llmcore_tokenizer", "1"},
                      {"by_rank", by_rank ? "true" : ""},
                      {"normalizer", is_sentencepiece(normalizer.root()) ? spec.normalizer : ""},
                      {"hidden_tokens", hidden},
                      {"scores", scores},
                      {"extra", has_extra ? spec.extra : ""}});
}

void apply_metadata(TokenizerSpec& spec, FileBytes bytes, const std::string& name) {
  const JsonDocument document(JsonDocument::Borrowed{view_of(bytes)}, name);
  const Json& root = document.root();
  root["llmcore_tokenizer"].as_integer(name + ": llmcore_tokenizer", 1, 1);
  if (is_true(root["by_rank"])) {
    if (spec.kind != ModelKind::kBpe || spec.spelling != Spelling::kByteChars) {
      fail_data(name + ": by_rank", "set for byte-level BPE alone", "another model");
    }
    spec.bpe.by_rank = true;
    spec.merges.clear();
  }
  if (!root["normalizer"].is_null()) spec.normalizer = json_text(root["normalizer"]);
  if (!root["hidden_tokens"].is_null()) {
    for (const Json& item : root["hidden_tokens"].as_items(name + ": hidden_tokens")) {
      const auto last = static_cast<std::int64_t>(spec.tokens.size()) - 1;
      const auto id = static_cast<std::size_t>(item.as_integer(name + ": hidden_tokens", 0, last));
      spec.tokens[id].clear();
    }
  }
  while (!spec.tokens.empty() && spec.tokens.back().empty() && spec.kind != ModelKind::kUnigram) {
    spec.tokens.pop_back();
  }
  if (!root["scores"].is_null()) {
    spec.scores.clear();
    for (const Json& item : root["scores"].as_items(name + ": scores")) {
      spec.scores.push_back(item.as_number(name + ": scores"));
    }
    if (spec.scores.size() != spec.tokens.size()) {
      fail_data(name + ": scores", "one per token", std::to_string(spec.scores.size()) + " scores");
    }
  }
  if (!root["extra"].is_null()) {
    root["extra"].as_members(name + ": extra");
    spec.extra = json_text(root["extra"]);
  }
}

}  // namespace llmcore::tokenizer
