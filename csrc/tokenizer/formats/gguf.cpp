// Tokenizers in GGUF files, as llama.cpp reads and its converter writes them.
#include <algorithm>
#include <map>

#include "tokenizer/errors.h"
#include "tokenizer/formats/base64.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/gguf_values.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/known_splits.h"
#include "tokenizer/formats/pieces.h"
#include "tokenizer/formats/post_processing.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kPrefix = "tokenizer.";

class Reader {
 public:
  Reader(FileBytes bytes, const std::string& name, const ReadOptions& options)
      : name_(name), options_(options), values_(read_gguf_values(bytes, kPrefix, name)) {}

  TokenizerSpec read() {
    const std::string_view model = text("tokenizer.ggml.model");
    read_tokens();
    TokenizerSpec spec;
    bool adds_bos = false, adds_eos = false;
    if (model == "gpt2") {
      spec = read_bpe(adds_bos);
    } else if (model == "llama" || model == "t5") {
      spec = read_pieces(model == "t5");
      (model == "t5" ? adds_eos : adds_bos) = true;
    } else if (model == "bert") {
      spec = read_bert();
      adds_bos = adds_eos = true;
    } else {
      fail_data(name_ + ": tokenizer.ggml.model", "llama, gpt2, bert or t5", quoted(model));
    }
    // Added tokens and padding at the end are not the model's.
    while (spec.scores.empty() && !spec.tokens.empty() && spec.tokens.back().empty()) {
      spec.tokens.pop_back();
    }
    adds_bos = flag("tokenizer.ggml.add_bos_token", adds_bos);
    adds_eos = flag("tokenizer.ggml.add_eos_token", adds_eos);
    Frame frame;
    if (adds_bos) frame.before = token_of_role(model == "bert" ? "cls" : "bos", "bos");
    if (adds_eos) frame.after = token_of_role(model == "bert" ? "sep" : "eos", "eos");
    spec.post_processor = template_of(frame, model == "bert");
    add_extra(spec);
    return spec;
  }

 private:
  const GgufValue* find(std::string_view key) const {
    const auto at = values_.find(key);
    return at == values_.end() ? nullptr : &at->second;
  }

  [[noreturn]] void fail(std::string_view key, std::string_view expected,
                         std::string_view got) const {
    fail_data(name_ + ": " + std::string(key), expected, got);
  }

  std::string_view utf8(std::string_view key, std::string_view text) const {
    if (valid_utf8_length(text) != text.size()) fail(key, "UTF-8", quoted(text));
    return text;
  }

  std::string_view text(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || value->is_list || value->type != GgufType::kString) {
      fail(key, "a text", value == nullptr ? "none" : "another type");
    }
    return utf8(key, value->texts[0]);
  }

  bool flag(std::string_view key, bool otherwise) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->is_list || value->type != GgufType::kBool)
      fail(key, "true or false", "another type");
    return value->integer() != 0;
  }

  // A list of one value per token, or null if there is none.
  const GgufValue* list(std::string_view key, GgufType type, std::size_t count) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return nullptr;
    if (!value->is_list || value->type != type || value->count != count) {
      fail(key, "one value per token", std::to_string(value->count) + " values");
    }
    return value;
  }

  const std::vector<std::string_view>& texts(std::string_view key) const {
    const GgufValue* value = find(key);
    if (value == nullptr || !value->is_list || value->type != GgufType::kString) {
      fail(key, "a list of texts", value == nullptr ? "none" : "another type");
    }
    return value->texts;
  }

  void read_tokens() {
    tokens_ = &texts("tokenizer.ggml.tokens");
    for (const std::string_view token : *tokens_) utf8("tokenizer.ggml.tokens", token);
    types_.assign(tokens_->size(), PieceType::kNormal);
    const GgufValue* types = list("tokenizer.ggml.token_type", GgufType::kInt32, tokens_->size());
    for (std::size_t i = 0; types != nullptr && i < types_.size(); ++i) {
      const std::int64_t type = types->integer(i);
      if (type < 1 || type > 6) {
        fail("tokenizer.ggml.token_type", "from 1 to 6", std::to_string(type));
      }
      types_[i] = static_cast<PieceType>(type);
    }
  }

  std::int32_t role(std::string_view wanted) const {
    for (const auto& [role_name, key] : kGgufRoles) {
      if (role_name != wanted) continue;
      const GgufValue* value = find(key);
      if (value == nullptr || value->is_list || !value->is_integer()) return -1;
      const std::int64_t id = value->integer();
      // Files name ids of no token to mean none.
      return id >= 0 && static_cast<std::uint64_t>(id) < tokens_->size()
                 ? static_cast<std::int32_t>(id)
                 : -1;
    }
    return -1;
  }

  std::optional<SpecialToken> token_of_role(std::string_view first, std::string_view second) const {
    const std::int32_t id = role(first) >= 0 ? role(first) : role(second);
    if (id < 0) return std::nullopt;
    return SpecialToken{std::string((*tokens_)[static_cast<std::size_t>(id)]),
                        static_cast<std::uint32_t>(id)};
  }

  void add_token(TokenizerSpec& spec, std::uint32_t id) const {
    AddedTokenSpec added;
    added.id = id;
    added.content = (*tokens_)[id];
    added.special = types_[id] != PieceType::kUserDefined;
    if (!added.content.empty()) spec.added.push_back(std::move(added));
  }

  bool is_added(std::size_t id) const {
    return types_[id] == PieceType::kControl || types_[id] == PieceType::kUserDefined ||
           types_[id] == PieceType::kUnknown;
  }

  void read_split(TokenizerSpec& spec, bool& adds_bos) const {
    if (!options_.pattern.empty()) {
      spec.pre_tokenizer = pre_tokenizer_of_pattern(options_.pattern);
      return;
    }
    const bool is_named = find("tokenizer.ggml.pre") != nullptr;
    const std::string_view pre = is_named ? text("tokenizer.ggml.pre") : "default";
    const KnownSplit* split = find_gguf_split(pre);
    if (split == nullptr) {
      fail("tokenizer.ggml.pre", "a pre-tokenizer known here (or give a pattern)", quoted(pre));
    }
    spec.pre_tokenizer = pre_tokenizer_of(*split);
    spec.normalizer = normalizer_of(*split);
    spec.bpe.ignore_merges = split->ignore_merges;
    adds_bos = split->name == "llama3";
  }

  TokenizerSpec read_bpe(bool& adds_bos) const {
    TokenizerSpec spec;
    spec.spelling = Spelling::kByteChars;
    spec.decoder =
        R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
    read_split(spec, adds_bos);
    spec.tokens.assign(tokens_->begin(), tokens_->end());
    for (std::uint32_t id = 0; id < spec.tokens.size(); ++id) {
      if (is_added(id)) add_token(spec, id);
      if (is_added(id) || types_[id] == PieceType::kUnused) spec.tokens[id].clear();
    }
    const TokenIndex index(spec.tokens);
    if (index.repeated() != TokenIndex::kAbsent) {
      fail("tokenizer.ggml.tokens", "distinct", quoted(spec.tokens[index.repeated()]) + " twice");
    }
    std::map<std::string_view, std::uint32_t> added_ids;
    for (const AddedTokenSpec& added : spec.added) added_ids.emplace(added.content, added.id);
    // An added token that a merge names is a token of the model too.
    const auto id_of = [&](std::string_view token) {
      const std::uint32_t id = index.find(token);
      if (id != TokenIndex::kAbsent) return id;
      const auto added = added_ids.find(token);
      if (added == added_ids.end()) return TokenIndex::kAbsent;
      spec.tokens[added->second] = token;
      return added->second;
    };
    std::string joined;
    for (const std::string_view line : texts("tokenizer.ggml.merges")) {
      // A token may be a space itself: the one that divides is never the first character.
      const std::size_t space = line.find(' ', 1);
      const std::string_view left = line.substr(0, space);
      const std::string_view right =
          space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
      (joined = left) += right;
      const Merge merge = {id_of(left), id_of(right)};
      if (merge.first == TokenIndex::kAbsent || merge.second == TokenIndex::kAbsent ||
          id_of(joined) == TokenIndex::kAbsent) {
        fail("tokenizer.ggml.merges", "two tokens that join to a third", quoted(line));
      }
      spec.merges.push_back(merge);
    }
    return spec;
  }

  TokenizerSpec read_pieces(bool is_unigram) const {
    PieceModel model;
    model.is_unigram = is_unigram;
    const GgufValue* scores = list("tokenizer.ggml.scores", GgufType::kFloat32, tokens_->size());
    for (std::size_t id = 0; id < tokens_->size(); ++id) {
      model.pieces.push_back(
          {std::string((*tokens_)[id]), scores == nullptr ? 0 : scores->float32(id), types_[id]});
      model.byte_fallback |= types_[id] == PieceType::kByte;
    }
    model.unk_id = role("unk");
    model.bos_id = role("bos");
    model.eos_id = role("eos");
    model.pad_id = role("pad");
    const bool has_unknown =
        std::find(types_.begin(), types_.end(), PieceType::kUnknown) != types_.end();
    if (!has_unknown && model.unk_id >= 0) {
      model.pieces[static_cast<std::size_t>(model.unk_id)].type = PieceType::kUnknown;
    }
    model.add_dummy_prefix = flag("tokenizer.ggml.add_space_prefix", true);
    model.remove_extra_whitespaces = flag("tokenizer.ggml.remove_extra_whitespaces", false);
    if (const GgufValue* charsmap = find("tokenizer.ggml.precompiled_charsmap")) {
      if (!charsmap->is_list || charsmap->bytes.size() != charsmap->count) {
        fail("tokenizer.ggml.precompiled_charsmap", "a list of bytes", "another type");
      }
      model.charsmap = charsmap->bytes;
    }
    return spec_of_pieces(model, name_);
  }

  // Words begin with U+2581 there, and what continues them has no mark.
  TokenizerSpec read_bert() const {
    TokenizerSpec spec;
    spec.kind = ModelKind::kWordPiece;
    for (std::uint32_t id = 0; id < tokens_->size(); ++id) {
      const std::string_view token = (*tokens_)[id];
      const bool is_marked = token.starts_with(kSpaceMark);
      const bool is_special =
          !is_marked && token.size() > 2 && token.starts_with('[') && token.ends_with(']');
      if (types_[id] == PieceType::kUnused) {
        spec.tokens.emplace_back();
      } else if (is_marked) {
        spec.tokens.emplace_back(token.substr(kSpaceMark.size()));
      } else {
        spec.tokens.push_back(is_special || is_added(id) ? std::string(token)
                                                         : "##" + std::string(token));
      }
      if (is_added(id)) add_token(spec, id);
    }
    if (const auto unknown = token_of_role("unk", "unk")) spec.wordpiece.unk_token = unknown->text;
    const TokenIndex index(spec.tokens);
    if (index.repeated() != TokenIndex::kAbsent) {
      fail("tokenizer.ggml.tokens", "distinct", quoted(spec.tokens[index.repeated()]) + " twice");
    }
    spec.normalizer =
        R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})";
    spec.pre_tokenizer = R"({"type":"BertPreTokenizer"})";
    spec.decoder = R"({"type":"WordPiece","prefix":"##","cleanup":true})";
    return spec;
  }

  void add_extra(TokenizerSpec& spec) const {
    std::vector<std::pair<std::string_view, std::string>> roles;
    for (const auto& [role_name, key] : kGgufRoles) {
      const std::int32_t id = role(role_name);
      if (id >= 0) roles.emplace_back(role_name, std::to_string(id));
    }
    const bool has_template = find("tokenizer.chat_template") != nullptr;
    const std::string is_bpe = extra_member(spec, "sentencepiece_bpe");
    const std::string details = extra_member(spec, "sentencepiece");
    spec.extra = json_object(
        {{"source", R"("gguf")"},
         {"sentencepiece_bpe", is_bpe},
         {"roles", json_object(roles)},
         {"sentencepiece", details},
         {"chat_template", has_template ? json_quote(text("tokenizer.chat_template")) : ""}});
  }

  const std::string& name_;
  const ReadOptions& options_;
  std::map<std::string_view, GgufValue> values_;
  const std::vector<std::string_view>* tokens_ = nullptr;
  std::vector<PieceType> types_;
};

}  // namespace

TokenizerSpec read_gguf(FileBytes bytes, const std::string& name, const ReadOptions& options) {
  return Reader(bytes, name, options).read();
}

}  // namespace llmcore::tokenizer
