// Components of tokenizer.json by their type.
#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/errors.h"
#include "tokenizer/normalize/char_normalizers.h"
#include "tokenizer/normalize/charsmap_normalizers.h"
#include "tokenizer/normalize/edit_normalizers.h"
#include "tokenizer/normalize/normal_form.h"
#include "tokenizer/normalize/span_writer.h"

namespace llmcore::tokenizer {
namespace {

class Sequence final : public Normalizer {
 public:
  Sequence(std::vector<std::unique_ptr<Normalizer>> stages, SpaceCut space_cut)
      : stages_(std::move(stages)), space_cut_(space_cut) {}

  void apply(const AlignedText& from, AlignedText& to) const override {
    if (stages_.empty()) {
      to.start_like(from);
      to.keep(from, 0, from.size());
      return;
    }
    stages_[0]->apply(from, to);
    AlignedText previous;
    for (std::size_t i = 1; i < stages_.size(); ++i) {
      previous.swap(to);
      stages_[i]->apply(previous, to);
      check_growth(to.size(), from.size());
    }
  }
  SpaceCut space_cut() const override { return space_cut_; }

 private:
  std::vector<std::unique_ptr<Normalizer>> stages_;
  SpaceCut space_cut_;
};

bool is_text(const Json& value, std::string_view text) {
  return value.is_string() && value.string() == text;
}

// Prepend X, then Replace " " by X: the space is what the word behind it would get by itself.
bool prepends_spaces(std::span<const Json> stages) {
  return stages.size() == 2 && is_text(stages[0]["type"], "Prepend") &&
         is_text(stages[1]["type"], "Replace") && is_text(stages[1]["pattern"]["String"], " ") &&
         stages[0]["prepend"].is_string() &&
         is_text(stages[1]["content"], stages[0]["prepend"].string());
}

std::unique_ptr<Normalizer> make_sequence(const Json& component, const std::string& where) {
  std::vector<std::unique_ptr<Normalizer>> stages;
  const std::string list = where + ".normalizers";
  const std::span<const Json> items = component["normalizers"].as_items(list);
  for (const Json& item : items) {
    const std::string name = list + "[" + std::to_string(stages.size()) + "]";
    auto stage = make_normalizer(item, name);
    if (!stage) throw DataError(name + ": must be a normalizer, got null");
    stages.push_back(std::move(stage));
  }
  const bool keeps = std::ranges::all_of(
      stages, [](const auto& stage) { return stage->space_cut() == SpaceCut::kKept; });
  const SpaceCut space_cut = keeps                    ? SpaceCut::kKept
                             : prepends_spaces(items) ? SpaceCut::kDropped
                                                      : SpaceCut::kNone;
  return std::make_unique<Sequence>(std::move(stages), space_cut);
}

std::unique_ptr<Normalizer> make_bert_normalizer(const Json& component, const std::string& where) {
  BertOptions options;
  options.clean_text = component["clean_text"].as_bool(where + ".clean_text");
  options.handle_chinese_chars =
      component["handle_chinese_chars"].as_bool(where + ".handle_chinese_chars");
  options.lowercase = component["lowercase"].as_bool(where + ".lowercase");
  const Json& strip_accents = component["strip_accents"];
  if (!strip_accents.is_null()) {
    options.strip_accents = strip_accents.as_bool(where + ".strip_accents");
  }
  return make_bert(options);
}

std::unique_ptr<Normalizer> make_replace_normalizer(const Json& component,
                                                    const std::string& where) {
  const Json& pattern = component["pattern"];
  std::string content(component["content"].as_string(where + ".content"));
  if (!pattern["Regex"].is_null()) {
    const std::string field = where + ".pattern.Regex";
    return make_regex_replace(pattern["Regex"].as_string(field), std::move(content), field);
  }
  std::string literal(pattern["String"].as_string(where + ".pattern.String"));
  return make_replace(std::move(literal), std::move(content));
}

std::unique_ptr<Normalizer> make_sentencepiece_normalizer(const Json& component,
                                                          const std::string& where) {
  SentencePieceOptions options;
  const auto read = [&](const char* name, bool& value) {
    const Json& field = component[name];
    if (!field.is_null()) value = field.as_bool(where + "." + name);
  };
  read("add_dummy_prefix", options.add_dummy_prefix);
  read("remove_extra_whitespaces", options.remove_extra_whitespaces);
  read("escape_whitespaces", options.escape_whitespaces);
  read("treat_whitespace_as_suffix", options.treat_whitespace_as_suffix);
  const Json& symbols = component["user_defined_symbols"];
  if (!symbols.is_null()) {
    const std::string list = where + ".user_defined_symbols";
    for (const Json& symbol : symbols.as_items(list)) {
      options.user_defined_symbols.emplace_back(symbol.as_string(list));
    }
  }
  const Json& charsmap = component["precompiled_charsmap"];
  const std::string name = where + ".precompiled_charsmap";
  const auto base64 = charsmap.is_null() ? std::string_view{} : charsmap.as_string(name);
  return make_sentencepiece(Charsmap::from_base64(base64, name), std::move(options));
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& component, const std::string& where) {
  if (component.is_null()) return nullptr;
  const std::string_view type = component["type"].as_string(where + ".type");
  if (type == "NFC") return make_normal_form({.compatible = false, .composes = true});
  if (type == "NFD") return make_normal_form({.compatible = false, .composes = false});
  if (type == "NFKC") return make_normal_form({.compatible = true, .composes = true});
  if (type == "NFKD") return make_normal_form({.compatible = true, .composes = false});
  if (type == "Lowercase") return make_lowercase();
  if (type == "Nmt") return make_nmt();
  if (type == "StripAccents") return make_strip_accents();
  if (type == "ByteLevel") return make_byte_level();
  if (type == "BertNormalizer") return make_bert_normalizer(component, where);
  if (type == "Sequence") return make_sequence(component, where);
  if (type == "Replace") return make_replace_normalizer(component, where);
  if (type == "SentencePiece") return make_sentencepiece_normalizer(component, where);
  if (type == "Strip") {
    return make_strip(component["strip_left"].as_bool(where + ".strip_left"),
                      component["strip_right"].as_bool(where + ".strip_right"));
  }
  if (type == "Prepend") {
    return make_prepend(std::string(component["prepend"].as_string(where + ".prepend")));
  }
  if (type == "Precompiled") {
    const std::string name = where + ".precompiled_charsmap";
    return make_precompiled(
        Charsmap::from_base64(component["precompiled_charsmap"].as_string(name), name));
  }
  throw DataError(where + ".type: must be a known normalizer, got " + component["type"].describe());
}

}  // namespace llmcore::tokenizer
