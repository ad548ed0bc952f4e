#include "tokenizer/formats/pieces.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tokenizer/errors.h"
#include "tokenizer/formats/base64.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::array<std::pair<PieceType, std::string_view>, 5> kTypeNames = {
    {{PieceType::kUnknown, "unknown"},
     {PieceType::kControl, "control"},
     {PieceType::kUserDefined, "user_defined"},
     {PieceType::kUnused, "unused"},
     {PieceType::kByte, "byte"}}};

bool is_usable(const ModelPiece& piece) {
  return piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined ||
         piece.type == PieceType::kUnused;
}

std::string byte_text(unsigned byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">";
}

// As SentencePiece checks a model that it loads.
void check(const PieceModel& model, const std::string& name) {
  std::vector<std::string> usable, reserved;
  std::size_t num_unknown = 0;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const ModelPiece& piece = model.pieces[id];
    const std::string where = name + ": piece " + std::to_string(id);
    if (piece.text.empty() || valid_utf8_length(piece.text) != piece.text.size()) {
      fail_data(where, "non-empty UTF-8", quoted(piece.text));
    }
    if (!std::isfinite(piece.score)) fail_data(where, "of finite score", "another");
    if (piece.type == PieceType::kUnknown) ++num_unknown;
    if (piece.type == PieceType::kByte && !model.byte_fallback) {
      fail_data(where, "of another type without byte_fallback", "a byte piece");
    }
    (is_usable(piece) ? usable : reserved).push_back(piece.text);
  }
  if (num_unknown != 1) {
    fail_data(name + ": pieces", "with one unknown piece", std::to_string(num_unknown));
  }
  for (const auto* texts : {&usable, &reserved}) {
    const TokenIndex index(*texts);
    if (index.repeated() != TokenIndex::kAbsent) {
      fail_data(name + ": pieces", "distinct", quoted((*texts)[index.repeated()]) + " twice");
    }
  }
  if (!model.byte_fallback) return;
  const TokenIndex index(reserved);
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (index.find(byte_text(byte)) == TokenIndex::kAbsent) {
      fail_data(name + ": byte_fallback", "backed by 256 byte pieces",
                "none for " + byte_text(byte));
    }
  }
}

std::string normalizer_json(const PieceModel& model) {
  std::string out = R"({"type":"SentencePiece","precompiled_charsmap":)";
  out += json_quote(to_base64(model.charsmap));
  (out += R"(,"add_dummy_prefix":)") += json_bool(model.add_dummy_prefix);
  (out += R"(,"remove_extra_whitespaces":)") += json_bool(model.remove_extra_whitespaces);
  (out += R"(,"escape_whitespaces":)") += json_bool(model.escape_whitespaces);
  if (model.treat_whitespace_as_suffix) out += R"(,"treat_whitespace_as_suffix":true)";
  std::string user_defined;
  for (const ModelPiece& piece : model.pieces) {
    if (piece.type != PieceType::kUserDefined) continue;
    (user_defined += user_defined.empty() ? '[' : ',') += json_quote(piece.text);
  }
  // Texts that the charsmap leaves alone.
  if (!user_defined.empty()) (out += R"(,"user_defined_symbols":)") += user_defined + ']';
  return out + '}';
}

// For other libraries: this one knows SentencePiece's rules themselves.
std::string decoder_json(const PieceModel& model) {
  std::string out = R"({"type":"Sequence","decoders":[)";
  const auto unknown = [](const ModelPiece& p) { return p.type == PieceType::kUnknown; };
  const auto unk = std::find_if(model.pieces.begin(), model.pieces.end(), unknown);
  if (unk != model.pieces.end()) {
    (out += R"({"type":"Replace","pattern":{"String":)") += json_quote(unk->text);
    ((out += R"(},"content":)") += json_quote(model.unk_surface)) += "},";
  }
  out += R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})";
  if (model.byte_fallback) out += R"(,{"type":"ByteFallback"})";
  out += R"(,{"type":"Fuse"})";
  if (model.treat_whitespace_as_suffix && model.add_dummy_prefix) {
    out += R"(,{"type":"Strip","content":" ","start":0,"stop":1})";
  } else if (model.add_dummy_prefix || model.remove_extra_whitespaces) {
    out += R"(,{"type":"Strip","content":" ","start":1,"stop":0})";
  }
  return out + "]}";
}

std::string types_json(const PieceModel& model) {
  std::vector<std::pair<std::string_view, std::string>> lists;
  for (const auto& [type, type_name] : kTypeNames) {
    std::string ids;
    for (std::size_t id = 0; id < model.pieces.size(); ++id) {
      if (model.pieces[id].type != type) continue;
      (ids += ids.empty() ? '[' : ',') += std::to_string(id);
    }
    lists.emplace_back(type_name, ids.empty() ? ids : ids + ']');
  }
  return json_object(lists);
}

// Texts of pieces that the spec does not hold as tokens.
std::string hidden_json(const TokenizerSpec& spec, const PieceModel& model) {
  std::string out;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (!spec.tokens[id].empty()) continue;
    (out += out.empty() ? '{' : ',') += '"' + std::to_string(id) + "\":";
    out += json_quote(model.pieces[id].text);
  }
  return out.empty() ? out : out + '}';
}

std::string extra_json(const TokenizerSpec& spec, const PieceModel& model) {
  const auto role = [](std::int32_t id) { return id < 0 ? std::string() : std::to_string(id); };
  const std::string roles = json_object({{"unk", role(model.unk_id)},
                                         {"bos", role(model.bos_id)},
                                         {"eos", role(model.eos_id)},
                                         {"pad", role(model.pad_id)}});
  const auto binary = [](const std::string& bytes) {
    return bytes.empty() ? std::string() : json_quote(to_base64(bytes));
  };
  const std::string details = json_object(
      {{"types", types_json(model)},
       {"hidden", hidden_json(spec, model)},
       {"unk_surface", json_quote(model.unk_surface)},
       {"normalizer_name", model.normalizer_name.empty() ? "" : json_quote(model.normalizer_name)},
       {"trainer_spec", binary(model.trainer_spec)},
       {"other_fields", binary(model.other_fields)}});
  return json_object({{"source", R"("sentencepiece")"},
                      {"sentencepiece_bpe", model.is_unigram ? "" : "true"},
                      {"roles", roles},
                      {"sentencepiece", details}});
}

void add_token(TokenizerSpec& spec, std::uint32_t id, const ModelPiece& piece) {
  AddedTokenSpec added;
  added.id = id;
  added.content = piece.text;
  added.special = piece.type != PieceType::kUserDefined;
  spec.added.push_back(std::move(added));
}

}  // namespace

TokenizerSpec spec_of_pieces(const PieceModel& model, const std::string& name) {
  check(model, name);
  TokenizerSpec spec;
  spec.kind = model.is_unigram ? ModelKind::kUnigram : ModelKind::kBpe;
  std::vector<bool> usable;
  for (std::uint32_t id = 0; id < model.pieces.size(); ++id) {
    const ModelPiece& piece = model.pieces[id];
    // A Unigram model looks for every token in the text, so those that no text may give are hidden.
    const bool hides = model.is_unigram && piece.type != PieceType::kByte &&
                       (!is_usable(piece) || piece.type == PieceType::kUnused);
    spec.tokens.push_back(hides ? std::string() : piece.text);
    spec.scores.push_back(static_cast<double>(piece.score));
    usable.push_back(is_usable(piece));
    if (piece.type == PieceType::kUnknown || piece.type == PieceType::kControl ||
        piece.type == PieceType::kUserDefined) {
      add_token(spec, id, piece);
    }
    if (piece.type == PieceType::kUnknown) {
      spec.unigram.unk_id = id;
      spec.bpe.unk_token = piece.text;
    }
  }
  if (model.is_unigram) {
    spec.unigram.byte_fallback = model.byte_fallback;
    spec.bpe.unk_token.clear();
  } else {
    spec.unigram.unk_id = -1;
    spec.bpe.byte_fallback = model.byte_fallback;
    spec.bpe.fuse_unk = true;
    spec.merges = merges_of_scores(spec.tokens, spec.scores, usable);
  }
  spec.normalizer = normalizer_json(model);
  spec.decoder = decoder_json(model);
  spec.extra = extra_json(spec, model);
  return spec;
}

namespace {

class PieceBuilder {
 public:
  PieceBuilder(const TokenizerSpec& spec, std::string_view format)
      : spec_(spec),
        format_(format),
        normalizer_(spec.normalizer, "normalizer"),
        extra_(spec.extra, "extra") {}

  PieceModel build() {
    check_kind();
    model_.is_unigram = spec_.kind == ModelKind::kUnigram;
    model_.byte_fallback =
        model_.is_unigram ? spec_.unigram.byte_fallback : spec_.bpe.byte_fallback;
    read_normalizer();
    read_pieces();
    const Json& roles = extra_.root()["roles"];
    const auto role = [&](std::string_view role_name) {
      const Json& id = roles[role_name];
      return id.is_integer() ? static_cast<std::int32_t>(id.integer()) : -1;
    };
    model_.unk_id = role("unk");
    model_.bos_id = role("bos");
    model_.eos_id = role("eos");
    model_.pad_id = role("pad");
    read_details();
    return std::move(model_);
  }

 private:
  void check_kind() const {
    const bool is_bpe = spec_.kind == ModelKind::kBpe &&
                        is_true(extra_.root()["sentencepiece_bpe"]) &&
                        spec_.scores.size() == spec_.tokens.size();
    const bool is_unigram = spec_.kind == ModelKind::kUnigram && spec_.spelling == Spelling::kText;
    if (!is_bpe && !is_unigram) {
      fail_express(format_, spec_.kind == ModelKind::kWordPiece
                                ? "WordPiece"
                                : "BPE that does not merge by the scores of pieces");
    }
    if (!normalizer_.root()["type"].is_string() ||
        normalizer_.root()["type"].string() != "SentencePiece") {
      fail_express(format_,
                   "a normalizer other than SentencePiece's, got " + normalizer_.root().describe());
    }
    if (spec_.pre_tokenizer != "null") fail_express(format_, "a pre_tokenizer");
  }

  void read_normalizer() {
    const Json& normalizer = normalizer_.root();
    const std::string_view text =
        normalizer["precompiled_charsmap"].is_null()
            ? std::string_view()
            : normalizer["precompiled_charsmap"].as_string("normalizer: precompiled_charsmap");
    if (!append_base64_bytes(text, model_.charsmap)) {
      fail_data("normalizer: precompiled_charsmap", "base64", "another text");
    }
    model_.add_dummy_prefix = is_true(normalizer["add_dummy_prefix"]);
    model_.remove_extra_whitespaces = is_true(normalizer["remove_extra_whitespaces"]);
    model_.escape_whitespaces = is_true(normalizer["escape_whitespaces"]);
    model_.treat_whitespace_as_suffix = is_true(normalizer["treat_whitespace_as_suffix"]);
  }

  void read_pieces() {
    const Json& details = extra_.root()["sentencepiece"];
    for (std::size_t id = 0; id < spec_.tokens.size(); ++id) {
      model_.pieces.push_back({spec_.tokens[id], static_cast<float>(spec_.scores[id])});
    }
    const auto piece_at = [&](std::uint64_t id) -> ModelPiece& {
      if (id >= model_.pieces.size()) model_.pieces.resize(static_cast<std::size_t>(id) + 1);
      return model_.pieces[static_cast<std::size_t>(id)];
    };
    for (const AddedTokenSpec& added : spec_.added) {
      if (added.id > max_id(spec_.tokens.size())) fail_express(format_, "an added token far off");
      piece_at(added.id) = {added.content, piece_at(added.id).score,
                            added.special ? PieceType::kControl : PieceType::kUserDefined};
    }
    const auto last = static_cast<std::int64_t>(model_.pieces.size()) - 1;
    for (const auto& [type, type_name] : kTypeNames) {
      if (!details["types"][type_name].is_array()) continue;
      for (const Json& id : details["types"][type_name].items()) {
        piece_at(static_cast<std::uint64_t>(id.as_integer("extra: types", 0, last))).type = type;
      }
    }
    if (details["hidden"].is_object()) read_hidden(details["hidden"]);
    if (spec_.unigram.unk_id >= 0) {
      piece_at(static_cast<std::uint64_t>(spec_.unigram.unk_id)).type = PieceType::kUnknown;
    }
  }

  void read_hidden(const Json& hidden) {
    for (const JsonMember& member : hidden.members()) {
      std::size_t id = 0;
      for (const char c : member.name.substr(0, 10)) {
        id = id * 10 + static_cast<std::size_t>(c - '0') % 10;
      }
      if (id >= model_.pieces.size()) fail_data("extra: hidden", "of ids", quoted(member.name));
      model_.pieces[id].text = member.value.as_string("extra: hidden");
    }
  }

  void read_details() {
    const Json& details = extra_.root()["sentencepiece"];
    const auto text = [&](std::string_view field, std::string& out) {
      if (details[field].is_string()) out = details[field].string();
    };
    const auto binary = [&](std::string_view field, std::string& out) {
      if (details[field].is_string() && !append_base64_bytes(details[field].string(), out)) {
        fail_data("extra: " + std::string(field), "base64", "another text");
      }
    };
    text("unk_surface", model_.unk_surface);
    text("normalizer_name", model_.normalizer_name);
    binary("trainer_spec", model_.trainer_spec);
    binary("other_fields", model_.other_fields);
  }

  const TokenizerSpec& spec_;
  std::string_view format_;
  JsonDocument normalizer_, extra_;
  PieceModel model_;
};

}  // namespace

PieceModel pieces_of_spec(const TokenizerSpec& spec, std::string_view format) {
  PieceModel model = PieceBuilder(spec, format).build();
  check(model, std::string(format));
  return model;
}

}  // namespace llmcore::tokenizer
