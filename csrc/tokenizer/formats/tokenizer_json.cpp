// Hugging Face's tokenizer.json, version 1.0, as `tokenizers` 0.23 reads it.
#include <algorithm>
#include <tuple>

#include "tokenizer/errors.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/formats/spec_building.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::uint32_t kNone = TokenIndex::kAbsent;

bool has_byte_level(const Json& component) {
  const Json& type = component["type"];
  if (!type.is_string()) return false;
  if (type.string() == "ByteLevel") return true;
  if (type.string() != "Sequence") return false;
  for (const std::string_view list : {"pretokenizers", "normalizers"}) {
    if (!component[list].is_array()) continue;
    for (const Json& part : component[list].items()) {
      if (has_byte_level(part)) return true;
    }
  }
  return false;
}

class Reader {
 public:
  Reader(const Json& root, const std::string& name) : root_(root), name_(name) {}

  TokenizerSpec read() {
    check_members();
    spec_.normalizer = json_text(root_["normalizer"]);
    spec_.pre_tokenizer = json_text(root_["pre_tokenizer"]);
    spec_.post_processor = json_text(root_["post_processor"]);
    spec_.decoder = json_text(root_["decoder"]);
    if (has_byte_level(root_["pre_tokenizer"]) || has_byte_level(root_["normalizer"])) {
      spec_.spelling = Spelling::kByteChars;
    }
    read_model(root_["model"]);
    std::string truncation = json_text(root_["truncation"]);
    std::string padding = json_text(root_["padding"]);
    spec_.extra = json_object({{"truncation", truncation == "null" ? "" : truncation},
                               {"padding", padding == "null" ? "" : padding}});
    return std::move(spec_);
  }

 private:
  std::string at(std::string_view field) const { return name_ + ": " + std::string(field); }

  void check_members() const {
    constexpr std::string_view kMembers[] = {"version",        "truncation", "padding",
                                             "added_tokens",   "normalizer", "pre_tokenizer",
                                             "post_processor", "decoder",    "model"};
    for (const JsonMember& member : root_.as_members(name_)) {
      if (std::find(std::begin(kMembers), std::end(kMembers), member.name) == std::end(kMembers)) {
        fail_data(name_, "a tokenizer.json of version 1.0", "a member " + quoted(member.name));
      }
    }
    const Json& version = root_["version"];
    if (!version.is_null() && version.as_string(at("version")) != "1.0") {
      fail_data(at("version"), "\"1.0\"", version.describe());
    }
  }

  // Files of before 0.9 do not name the type of their model.
  static std::string_view type_of(const Json& model) {
    if (model["vocab"].is_array()) return "Unigram";
    if (!model["merges"].is_null()) return "BPE";
    return model["continuing_subword_prefix"].is_null() ? "WordLevel" : "WordPiece";
  }

  void read_model(const Json& model) {
    model.as_members(at("model"));
    const std::string_view type =
        model["type"].is_null() ? type_of(model) : model["type"].as_string(at("model.type"));
    if (type == "BPE") {
      read_vocab(model["vocab"]);
      read_bpe(model);
    } else if (type == "WordPiece") {
      read_vocab(model["vocab"]);
      read_word_piece(model);
    } else if (type == "Unigram") {
      read_unigram(model);
    } else {
      fail_data(at("model.type"), "BPE, WordPiece or Unigram", quoted(type));
    }
  }

  void read_vocab(const Json& vocab) {
    const std::span<const JsonMember> members = vocab.as_members(at("model.vocab"));
    const auto most = static_cast<std::int64_t>(max_id(members.size()));
    std::int64_t last = -1;
    for (const JsonMember& member : members) {
      if (!member.value.is_integer() || member.value.integer() < 0 ||
          member.value.integer() > most) {
        member.value.as_integer(at("model.vocab: id of " + quoted(member.name)), 0, most);
      }
      last = std::max(last, member.value.integer());
    }
    spec_.tokens.resize(static_cast<std::size_t>(last + 1));
    for (const JsonMember& member : members) {
      std::string& token = spec_.tokens[static_cast<std::size_t>(member.value.integer())];
      if (!token.empty()) {
        fail_data(at("model.vocab"), "one token per id",
                  quoted(token) + " and " + quoted(member.name) + " at " + member.value.describe());
      }
      token = member.name;
    }
    num_entries_ = members.size();
  }

  std::string optional_text(const Json& model, std::string_view field) const {
    const Json& value = model[field];
    return value.is_null() ? "" : std::string(value.as_string(at("model." + std::string(field))));
  }
  bool optional_flag(const Json& model, std::string_view field) const {
    const Json& value = model[field];
    return !value.is_null() && value.as_bool(at("model." + std::string(field)));
  }

  void read_bpe(const Json& model) {
    spec_.kind = ModelKind::kBpe;
    spec_.bpe.unk_token = optional_text(model, "unk_token");
    spec_.bpe.continuing_subword_prefix = optional_text(model, "continuing_subword_prefix");
    spec_.bpe.end_of_word_suffix = optional_text(model, "end_of_word_suffix");
    spec_.bpe.fuse_unk = optional_flag(model, "fuse_unk");
    spec_.bpe.byte_fallback = optional_flag(model, "byte_fallback");
    spec_.bpe.ignore_merges = optional_flag(model, "ignore_merges");
    if (!model["dropout"].is_null()) {
      const double dropout = model["dropout"].as_number(at("model.dropout"));
      if (!(dropout >= 0 && dropout <= 1)) {
        fail_data(at("model.dropout"), "from 0 to 1", model["dropout"].describe());
      }
      spec_.bpe.dropout = static_cast<float>(dropout);
    }
    const TokenIndex index(spec_.tokens);
    read_merges(model["merges"], index);
    read_added(index);
  }

  std::pair<std::string_view, std::string_view> merge_texts(const Json& item,
                                                            std::size_t rank) const {
    if (item.is_string()) {
      const std::string_view line = item.string();
      const std::size_t space = line.find(' ');
      if (space != std::string_view::npos && line.find(' ', space + 1) == std::string_view::npos) {
        return {line.substr(0, space), line.substr(space + 1)};
      }
    } else if (item.is_array() && item.items().size() == 2 && item.items()[0].is_string() &&
               item.items()[1].is_string()) {
      return {item.items()[0].string(), item.items()[1].string()};
    }
    fail_data(at("model.merges: merge " + std::to_string(rank)), "two tokens", item.describe());
  }

  void read_merges(const Json& merges, const TokenIndex& index) {
    constexpr std::size_t kBatch = TokenIndex::kBatch / 2;
    const std::span<const Json> items = merges.as_items(at("model.merges"));
    spec_.merges.reserve(items.size());
    std::string_view texts[2 * kBatch];
    std::uint32_t ids[2 * kBatch];
    for (std::size_t begin = 0; begin < items.size(); begin += kBatch) {
      const std::size_t size = std::min(kBatch, items.size() - begin);
      for (std::size_t i = 0; i < size; ++i) {
        std::tie(texts[2 * i], texts[2 * i + 1]) = merge_texts(items[begin + i], begin + i);
      }
      index.find_batch(texts, 2 * size, ids);
      for (std::size_t i = 0; i < 2 * size; i += 2) {
        if (ids[i] == kNone || ids[i + 1] == kNone || !joins(texts[i], texts[i + 1], index)) {
          fail_data(at("model.merges: merge " + std::to_string(begin + i / 2)),
                    "two tokens of the vocabulary that join to a third",
                    quoted(texts[i]) + " and " + quoted(texts[i + 1]));
        }
        spec_.merges.emplace_back(ids[i], ids[i + 1]);
      }
    }
  }

  // The joined token is most often the one of the merge before or the next.
  bool joins(std::string_view left, std::string_view right, const TokenIndex& index) {
    const std::size_t prefix = spec_.bpe.continuing_subword_prefix.size();
    if (prefix > right.size()) return false;
    right.remove_prefix(prefix);
    for (std::size_t id = joined_; id < joined_ + 2 && id < spec_.tokens.size(); ++id) {
      const std::string_view token = spec_.tokens[id];
      if (token.size() == left.size() + right.size() && token.starts_with(left) &&
          token.ends_with(right)) {
        joined_ = id;
        return true;
      }
    }
    (buffer_ = left) += right;
    const std::uint32_t id = index.find(buffer_);
    if (id != kNone) joined_ = id;
    return id != kNone;
  }

  void read_word_piece(const Json& model) {
    spec_.kind = ModelKind::kWordPiece;
    WordPieceOptions& options = spec_.wordpiece;
    options.unk_token = model["unk_token"].as_string(at("model.unk_token"));
    options.continuing_subword_prefix =
        model["continuing_subword_prefix"].as_string(at("model.continuing_subword_prefix"));
    options.max_input_chars_per_word =
        static_cast<std::uint64_t>(model["max_input_chars_per_word"].as_integer(
            at("model.max_input_chars_per_word"), 0, INT64_MAX));
    read_added(TokenIndex(spec_.tokens));
  }

  void read_unigram(const Json& model) {
    spec_.kind = ModelKind::kUnigram;
    const std::span<const Json> items = model["vocab"].as_items(at("model.vocab"));
    spec_.tokens.reserve(items.size());
    spec_.scores.reserve(items.size());
    for (const Json& item : items) {
      const std::string where = at("model.vocab: entry " + std::to_string(spec_.tokens.size()));
      if (!item.is_array() || item.items().size() != 2) {
        fail_data(where, "a token and its score", item.describe());
      }
      spec_.tokens.emplace_back(item.items()[0].as_string(where));
      spec_.scores.push_back(item.items()[1].as_number(where));
    }
    const Json& unk = model["unk_id"];
    if (!unk.is_null()) {
      spec_.unigram.unk_id =
          unk.as_integer(at("model.unk_id"), 0, static_cast<std::int64_t>(items.size()) - 1);
    }
    spec_.unigram.byte_fallback = optional_flag(model, "byte_fallback");
    num_entries_ = items.size();
    read_added(TokenIndex(spec_.tokens));
  }

  bool flag(const Json& entry, std::string_view field, bool otherwise) const {
    const Json& value = entry[field];
    return value.is_null() ? otherwise : value.as_bool(at("added_tokens: " + std::string(field)));
  }

  // Ids are given as `tokenizers` gives them: the model's own, or the next free one.
  void read_added(const TokenIndex& index) {
    if (root_["added_tokens"].is_null()) return;
    const std::span<const Json> entries = root_["added_tokens"].as_items(at("added_tokens"));
    spec_.added.reserve(entries.size());
    const auto content_of = [this](std::uint32_t i) -> std::string_view {
      return spec_.added[i].content;
    };
    TextIndex seen(entries.size(), content_of);
    std::uint64_t next = num_entries_;
    for (const Json& entry : entries) {
      AddedTokenSpec added;
      added.content = entry["content"].as_string(at("added_tokens: content"));
      entry["id"].as_integer(at("added_tokens: id of " + quoted(added.content)), 0, UINT32_MAX - 1);
      added.special = flag(entry, "special", false);
      added.normalized = flag(entry, "normalized", !added.special);
      added.single_word = flag(entry, "single_word", false);
      added.lstrip = flag(entry, "lstrip", false);
      added.rstrip = flag(entry, "rstrip", false);
      if (added.content.empty()) continue;
      // A text that comes again changes its flags, not its id.
      if (const std::uint32_t before = seen.find(added.content); before != kNone) {
        added.id = spec_.added[before].id;
        spec_.added[before] = std::move(added);
        continue;
      }
      added.id = index.find(added.content);
      if (added.id == kNone) added.id = static_cast<std::uint32_t>(next);
      if (added.id >= next) next = added.id + std::uint64_t{1};
      seen.insert(added.content, static_cast<std::uint32_t>(spec_.added.size()));
      spec_.added.push_back(std::move(added));
    }
  }

  const Json& root_;
  const std::string& name_;
  TokenizerSpec spec_;
  std::size_t num_entries_ = 0, joined_ = 0;
  std::string buffer_;
};

}  // namespace

TokenizerSpec read_tokenizer_json(FileBytes bytes, const std::string& name) {
  const JsonDocument document(JsonDocument::Borrowed{view_of(bytes)}, name);
  return Reader(document.root(), name).read();
}

}  // namespace llmcore::tokenizer
