#include "tokenizer/pipeline/piece_types.h"

#include <array>
#include <string_view>
#include <utility>

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

}  // namespace llmcore::tokenizer
