// Writes a GGUF file that holds a vocabulary alone.
#include <algorithm>

#include "tokenizer/errors.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/gguf_values.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/known_splits.h"
#include "tokenizer/formats/pieces.h"
#include "tokenizer/formats/post_processing.h"
#include "tokenizer/formats/spec_building.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kFormat = "gguf";

class Writer {
 public:
  explicit Writer(const TokenizerSpec& spec) : spec_(spec), extra_(spec.extra, "extra") {}

  std::string write() {
    for (const AddedTokenSpec& added : spec_.added) check_added(added);
    out_.add_text("general.architecture", spec_.kind == ModelKind::kWordPiece ? "bert"
                                          : spec_.kind == ModelKind::kUnigram ? "t5"
                                                                              : "llama");
    const bool is_sentencepiece = is_true(extra_.root()["sentencepiece_bpe"]);
    if (spec_.kind == ModelKind::kWordPiece) {
      write_bert();
    } else if (spec_.kind == ModelKind::kUnigram || is_sentencepiece) {
      write_pieces();
    } else {
      write_bpe();
    }
    write_specials();
    return out_.file();
  }

 private:
  static void check_added(const AddedTokenSpec& added) {
    if (added.lstrip || added.rstrip || added.single_word) {
      fail_express(kFormat,
                   "lstrip, rstrip or single_word of added token " + quoted(added.content));
    }
  }

  // Tokens of all ids, the added ones included; ids without a token are unused.
  void collect() {
    texts_ = spec_.tokens;
    types_.assign(texts_.size(), PieceType::kNormal);
    for (const AddedTokenSpec& added : spec_.added) {
      if (added.id >= texts_.size()) {
        if (added.id > max_id(spec_.tokens.size() + spec_.added.size())) {
          fail_express(kFormat, "an added token with id " + std::to_string(added.id));
        }
        texts_.resize(added.id + std::size_t{1});
        types_.resize(texts_.size(), PieceType::kNormal);
      }
      texts_[added.id] = added.content;
      types_[added.id] = added.special ? PieceType::kControl : PieceType::kUserDefined;
    }
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (!texts_[id].empty()) continue;
      texts_[id] = "[PAD" + std::to_string(id) + "]";
      types_[id] = PieceType::kUnused;
    }
  }

  void write_tokens() {
    std::vector<std::int32_t> types;
    types.reserve(types_.size());
    for (const PieceType type : types_) types.push_back(static_cast<std::int32_t>(type));
    out_.add_texts("tokenizer.ggml.tokens", texts_);
    out_.add_int32s("tokenizer.ggml.token_type", types);
  }

  // The name for the spec's normalizer and pre-tokenizer, and for how whole tokens are looked up.
  const KnownSplit& split() const {
    const std::string normalizer = compact_json(spec_.normalizer, "normalizer");
    const std::string pre_tokenizer = canonical(spec_.pre_tokenizer);
    bool is_known = false;
    for (const KnownSplit& split : known_splits()) {
      if (split.gguf_names.empty() || pre_tokenizer_of(split) != pre_tokenizer) continue;
      is_known = true;
      if (normalizer_of(split) != normalizer) continue;
      if (split.ignore_merges == spec_.bpe.ignore_merges || all_reached_) return split;
    }
    if (is_known) fail_express(kFormat, "this normalizer or ignore_merges with the pre_tokenizer");
    fail_express(kFormat, "a pre_tokenizer that llama.cpp has no name for");
  }

  // Members of a file that say nothing or the default are brought to one form.
  static std::string canonical(const std::string& component) {
    const JsonDocument document(component, "pre_tokenizer");
    const Json& root = document.root();
    const auto is_byte_level = [](const Json& part) {
      return part["type"].is_string() && part["type"].string() == "ByteLevel" &&
             part["add_prefix_space"].kind() == Json::Kind::kBool &&
             !part["add_prefix_space"].boolean();
    };
    const auto byte_level = [](const Json& part) {
      const bool uses = part["use_regex"].is_null() || is_true(part["use_regex"]);
      return std::string(R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,)") +
             R"("use_regex":)" + (uses ? "true}" : "false}");
    };
    if (is_byte_level(root)) return byte_level(root);
    if (!root["pretokenizers"].is_array()) return json_text(root);
    std::string out = R"({"type":"Sequence","pretokenizers":[)";
    for (const Json& part : root["pretokenizers"].items()) {
      if (&part != root["pretokenizers"].items().data()) out += ',';
      out += is_byte_level(part) ? byte_level(part) : canonical_step(part);
    }
    return out + "]}";
  }

  static std::string canonical_step(const Json& part) {
    const bool is_digits = part["type"].is_string() && part["type"].string() == "Digits" &&
                           is_true(part["individual_digits"]);
    if (!is_digits) return json_text(part);
    return R"({"type":"Split","pattern":{"Regex":"\\p{N}"},"behavior":"Isolated","invert":false})";
  }

  void write_bpe() {
    const BpeOptions& bpe = spec_.bpe;
    if (spec_.spelling != Spelling::kByteChars || bpe.dropout > 0 || !bpe.unk_token.empty() ||
        !bpe.continuing_subword_prefix.empty() || !bpe.end_of_word_suffix.empty()) {
      fail_express(kFormat,
                   "BPE that is not byte-level, or with dropout, unk_token, prefix or suffix");
    }
    if (bpe.by_rank) {
      std::vector<std::uint32_t> unreachable;
      spec_.merges = merges_of_ranks(rank_tokens(spec_), &unreachable);
      all_reached_ = unreachable.empty();
      spec_.bpe.by_rank = false;
    }
    collect();
    std::vector<std::string> merges;
    merges.reserve(spec_.merges.size());
    for (const auto& [left, right] : spec_.merges) {
      merges.push_back(spec_.tokens[left] + " " + spec_.tokens[right]);
    }
    const std::string_view names = split().gguf_names;
    out_.add_text("tokenizer.ggml.model", "gpt2");
    out_.add_text("tokenizer.ggml.pre", names.substr(0, names.find(' ')));
    write_tokens();
    out_.add_texts("tokenizer.ggml.merges", merges);
  }

  void write_pieces() {
    const PieceModel model = pieces_of_spec(spec_, kFormat);
    const bool normalizes = !model.charsmap.empty() || model.remove_extra_whitespaces;
    if (!model.is_unigram && normalizes) {
      fail_express(kFormat, "a charsmap or remove_extra_whitespaces with SentencePiece BPE");
    }
    if (!model.escape_whitespaces || model.treat_whitespace_as_suffix) {
      fail_express(kFormat, "escape_whitespaces off or treat_whitespace_as_suffix");
    }
    std::vector<float> scores;
    for (const ModelPiece& piece : model.pieces) {
      texts_.push_back(piece.text);
      types_.push_back(piece.type);
      scores.push_back(piece.score);
    }
    out_.add_text("tokenizer.ggml.model", model.is_unigram ? "t5" : "llama");
    out_.add_text("tokenizer.ggml.pre", "default");
    write_tokens();
    out_.add_floats("tokenizer.ggml.scores", scores);
    out_.add_bool("tokenizer.ggml.add_space_prefix", model.add_dummy_prefix);
    out_.add_bool("tokenizer.ggml.remove_extra_whitespaces", model.remove_extra_whitespaces);
    if (!model.charsmap.empty()) {
      out_.add_bytes("tokenizer.ggml.precompiled_charsmap", model.charsmap);
    }
  }

  void write_bert() {
    const WordPieceOptions& options = spec_.wordpiece;
    const JsonDocument normalizer(spec_.normalizer, "normalizer");
    const JsonDocument pre_tokenizer(spec_.pre_tokenizer, "pre_tokenizer");
    const auto is_type = [](const JsonDocument& document, std::string_view type) {
      const Json& name = document.root()["type"];
      return name.is_string() && name.string() == type;
    };
    if (!is_type(normalizer, "BertNormalizer") || !is_true(normalizer.root()["lowercase"]) ||
        !is_type(pre_tokenizer, "BertPreTokenizer")) {
      fail_express(kFormat,
                   "WordPiece without BertNormalizer that lowercases and BertPreTokenizer");
    }
    if (options.continuing_subword_prefix != "##") fail_express(kFormat, "a prefix other than ##");
    collect();
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      std::string& text = texts_[id];
      if (types_[id] != PieceType::kNormal) continue;
      if (text.starts_with("##") && text.size() > 2) {
        text.erase(0, 2);
        if (text.starts_with(kSpaceMark) || (text.starts_with('[') && text.ends_with(']'))) {
          fail_express(kFormat, "token " + quoted("##" + text));
        }
      } else if (!(text.size() > 2 && text.starts_with('[') && text.ends_with(']'))) {
        text.insert(0, kSpaceMark);
      }
    }
    out_.add_text("tokenizer.ggml.model", "bert");
    out_.add_text("tokenizer.ggml.pre", "jina-v2-en");
    write_tokens();
    out_.add_uint32("tokenizer.ggml.token_type_count", 2);
  }

  void write_specials() {
    const std::optional<Frame> frame = frame_of(spec_.post_processor);
    if (!frame) fail_express(kFormat, "a post_processor that adds more than one token on a side");
    const bool is_bert = spec_.kind == ModelKind::kWordPiece;
    for (const auto& [role_name, key] : kGgufRoles) {
      std::int64_t id = -1;
      const Json& known = extra_.root()["roles"][role_name];
      if (known.is_integer() && known.integer() >= 0) id = known.integer();
      if (frame->before && role_name == (is_bert ? "cls" : "bos")) id = frame->before->id;
      if (frame->after && role_name == (is_bert ? "sep" : "eos")) id = frame->after->id;
      if (id < 0 && is_bert) id = bert_role(role_name);
      if (id >= 0 && id <= UINT32_MAX) out_.add_uint32(key, static_cast<std::uint32_t>(id));
    }
    out_.add_bool("tokenizer.ggml.add_bos_token", frame->before.has_value());
    out_.add_bool("tokenizer.ggml.add_eos_token", frame->after.has_value());
    const Json& chat = extra_.root()["chat_template"];
    if (chat.is_string()) out_.add_text("tokenizer.chat_template", chat.string());
  }

  std::int64_t bert_role(std::string_view role_name) const {
    const std::string_view text = role_name == "unk"   ? std::string_view(spec_.wordpiece.unk_token)
                                  : role_name == "pad" ? "[PAD]"
                                  : role_name == "mask" ? "[MASK]"
                                                        : "";
    for (std::size_t id = 0; !text.empty() && id < texts_.size(); ++id) {
      if (texts_[id] == text) return static_cast<std::int64_t>(id);
    }
    return -1;
  }

  TokenizerSpec spec_;
  JsonDocument extra_;
  GgufWriter out_;
  std::vector<std::string> texts_;
  std::vector<PieceType> types_;
  bool all_reached_ = false;
};

}  // namespace

std::string write_gguf(const TokenizerSpec& spec) {
  return Writer(spec).write();
}

}  // namespace llmcore::tokenizer
