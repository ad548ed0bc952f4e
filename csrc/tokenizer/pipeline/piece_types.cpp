#include "tokenizer/pipeline/piece_types.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::array<std::pair<std::string_view, PieceType>, 5> kTypeNames = {
    {{"unknown", PieceType::kUnknown},
     {"control", PieceType::kControl},
     {"user_defined", PieceType::kUserDefined},
     {"unused", PieceType::kUnused},
     {"byte", PieceType::kByte}}};

}  // namespace

std::vector<PieceType> piece_types(const TokenizerSpec& spec) {
  const JsonDocument extra(spec.extra, "extra");
  const Json& lists = extra.root()["sentencepiece"]["types"];
  if (!lists.is_object()) return {};
  std::vector<PieceType> types(spec.tokens.size(), PieceType::kNormal);
  const auto last = static_cast<std::int64_t>(types.size()) - 1;
  for (const auto& [name, type] : kTypeNames) {
    if (lists[name].is_null()) continue;
    for (const Json& id : lists[name].as_items("extra: types")) {
      types[static_cast<std::size_t>(id.as_integer("extra: types", 0, last))] = type;
    }
  }
  return types;
}

std::vector<HiddenText> hidden_texts(const TokenizerSpec& spec) {
  const JsonDocument extra(spec.extra, "extra");
  const Json& hidden = extra.root()["sentencepiece"]["hidden"];
  std::vector<HiddenText> texts;
  if (!hidden.is_object()) return texts;
  for (const JsonMember& member : hidden.members()) {
    std::size_t id = spec.tokens.size();
    std::from_chars(member.name.data(), member.name.data() + member.name.size(), id);
    if (id >= spec.tokens.size()) {
      throw DataError("extra: hidden: must name ids of the vocabulary, got " +
                      json_quote(member.name.substr(0, 64)));
    }
    texts.push_back({id, std::string(member.value.as_string("extra: hidden"))});
  }
  return texts;
}

std::string sentencepiece_decoder(const TokenizerSpec& spec) {
  const JsonDocument normalizer(spec.normalizer, "normalizer"), extra(spec.extra, "extra");
  const auto flag = [&](std::string_view name) {
    const Json& value = normalizer.root()[name];
    return value.is_null() || value.as_bool(name) ? "true" : "false";
  };
  const bool has_bytes =
      spec.kind == ModelKind::kUnigram ? spec.unigram.byte_fallback : spec.bpe.byte_fallback;
  std::string out = R"({"type":"SentencePiece","add_dummy_prefix":)";
  out += flag("add_dummy_prefix");
  (out += R"(,"remove_extra_whitespaces":)") += flag("remove_extra_whitespaces");
  (out += R"(,"byte_fallback":)") += has_bytes ? "true" : "false";
  const std::vector<PieceType> types = piece_types(spec);
  std::string unknown, control;
  for (const AddedTokenSpec& token : spec.added) {
    const bool is_known = token.id < types.size();
    if (is_known && types[token.id] == PieceType::kUnknown) unknown = token.content;
    if (is_known && types[token.id] == PieceType::kControl) {
      (control += control.empty() ? "" : ",") += json_quote(token.content);
    }
  }
  if (!unknown.empty()) (out += R"(,"unknown":)") += json_quote(unknown);
  (out += R"(,"control":[)") += control + ']';
  const Json& surface = extra.root()["sentencepiece"]["unk_surface"];
  if (surface.is_string()) (out += R"(,"unk_surface":)") += json_quote(surface.string());
  return out + '}';
}

}  // namespace llmcore::tokenizer
