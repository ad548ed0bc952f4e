#include "tokenizer/split/pre_tokenizer.h"

#include <array>
#include <optional>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/split/character_splitters.h"
#include "tokenizer/split/known_pretokenizer.h"
#include "tokenizer/split/pattern_splitters.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

using enum DelimiterBehavior;

constexpr int kMaxNesting = 32;

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
  void split(AlignedText& text, std::vector<Piece>& pieces, bool is_start) const override {
    for (const auto& part : parts_) part->split(text, pieces, is_start);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

bool bool_or(const Json& component, std::string_view name, bool otherwise,
             const std::string& where) {
  const Json& value = component[name];
  return value.is_null() ? otherwise : value.as_bool(where + "." + std::string(name));
}

// The one character that a field holds.
std::string_view one_character(const Json& value, const std::string& where) {
  const std::string_view text = value.as_string(where);
  std::uint32_t c = 0;
  const Text bytes = as_text(text);
  const bool is_one =
      !text.empty() && decode_utf8(bytes.data(), bytes.data() + bytes.size(), c) == text.size();
  if (!is_one) throw DataError(where + ": must be one character, got " + value.describe());
  return text;
}

std::uint32_t code_point_of(std::string_view one_character) {
  std::uint32_t c = 0;
  const Text bytes = as_text(one_character);
  decode_utf8(bytes.data(), bytes.data() + bytes.size(), c);
  return c;
}

std::unique_ptr<PreTokenizer> make_byte_level(const Json& component, const std::string& where) {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  if (bool_or(component, "add_prefix_space", true, where)) parts.push_back(make_prefix_space());
  if (bool_or(component, "use_regex", true, where)) {
    parts.push_back(make_known_split(KnownPattern::kGpt2));
  }
  return std::make_unique<Sequence>(std::move(parts));
}

std::unique_ptr<PreTokenizer> make_split(const Json& component, const std::string& where) {
  const DelimiterBehavior behavior = parse_behavior(component["behavior"], where + ".behavior");
  const bool invert = bool_or(component, "invert", false, where);
  const Json& pattern = component["pattern"];
  if (pattern["String"].is_string()) {
    return make_string_split(pattern["String"].string(), behavior, invert);
  }
  if (pattern["Regex"].is_string()) {
    return make_regex_split(pattern["Regex"].string(), behavior, invert, where + ".pattern.Regex");
  }
  throw DataError(where + ".pattern: must be an object with String or Regex, got " +
                  pattern.describe());
}

PrependScheme parse_scheme(const Json& component, const std::string& where) {
  const Json& value = component["prepend_scheme"];
  const bool adds = bool_or(component, "add_prefix_space", true, where);
  if (value.is_null()) return adds ? PrependScheme::kAlways : PrependScheme::kNever;
  const std::string_view name = value.as_string(where + ".prepend_scheme");
  constexpr std::array<std::pair<std::string_view, PrependScheme>, 3> kNames{
      {{"always", PrependScheme::kAlways},
       {"first", PrependScheme::kFirst},
       {"never", PrependScheme::kNever}}};
  for (const auto& [known, scheme] : kNames) {
    if (name != known) continue;
    if (adds || scheme == PrependScheme::kNever) return scheme;
    throw DataError(where + ".add_prefix_space: must agree with prepend_scheme, got false and " +
                    value.describe());
  }
  throw DataError(where + ".prepend_scheme: must be always, first or never, got " +
                  value.describe());
}

std::unique_ptr<PreTokenizer> make_metaspace_of(const Json& component, const std::string& where) {
  const std::string_view replacement =
      one_character(component["replacement"], where + ".replacement");
  return make_metaspace(replacement, parse_scheme(component, where),
                        bool_or(component, "split", true, where));
}

std::unique_ptr<PreTokenizer> make_part(const Json& component, const std::string& where, int depth);

std::unique_ptr<PreTokenizer> make_sequence(const Json& component, const std::string& where,
                                            int depth) {
  if (depth >= kMaxNesting) {
    throw DataError(where + ": must have at most 32 nested sequences, got more");
  }
  const std::string list = where + ".pretokenizers";
  const std::span<const Json> items = component["pretokenizers"].as_items(list);
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (std::size_t i = 0; i < items.size();) {
    if (is_deepseek_splits(items.subspan(i))) {
      parts.push_back(make_known_split(KnownPattern::kDeepSeekV3));
      i += 3;
      continue;
    }
    auto part = make_part(items[i], list + "[" + std::to_string(i) + "]", depth + 1);
    if (part) parts.push_back(std::move(part));
    ++i;
  }
  return std::make_unique<Sequence>(std::move(parts));
}

std::unique_ptr<PreTokenizer> make_part(const Json& component, const std::string& where,
                                        int depth) {
  if (component.is_null()) return nullptr;
  const std::string_view type = component["type"].as_string(where + ".type");
  if (type == "Sequence") return make_sequence(component, where, depth);
  if (type == "ByteLevel") return make_byte_level(component, where);
  if (type == "Split") return make_split(component, where);
  if (type == "Metaspace") return make_metaspace_of(component, where);
  if (type == "Whitespace") return make_whitespace();
  if (type == "WhitespaceSplit") return make_whitespace_split();
  if (type == "BertPreTokenizer") return make_bert();
  if (type == "UnicodeScripts") return make_unicode_scripts();
  if (type == "Digits") {
    return make_digits(bool_or(component, "individual_digits", false, where));
  }
  if (type == "Punctuation") {
    const Json& behavior = component["behavior"];
    return make_punctuation(behavior.is_null() ? kIsolated
                                               : parse_behavior(behavior, where + ".behavior"));
  }
  if (type == "CharDelimiterSplit") {
    const std::string field = where + ".delimiter";
    return make_delimiter_split(code_point_of(one_character(component["delimiter"], field)));
  }
  if (type == "FixedLength") {
    const Json& length = component["length"];
    constexpr std::int64_t kDefault = 5, kMost = std::int64_t{1} << 32;
    return make_fixed_length(static_cast<std::size_t>(
        length.is_null() ? kDefault : length.as_integer(where + ".length", 1, kMost)));
  }
  throw DataError(where + ".type: must be a known pre-tokenizer, got " +
                  component["type"].describe());
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& component, const std::string& where) {
  return make_part(component, where, 0);
}

}  // namespace llmcore::tokenizer
