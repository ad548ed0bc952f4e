#include "tokenizer/decode/post_processor.h"

#include <algorithm>
#include <utility>

#include "tokenizer/errors.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

namespace {

constexpr std::size_t kMaxPieces = 256, kMaxAddedIds = 4096;
constexpr std::uint32_t kProbe = UINT32_MAX;

// What a space looks like among byte stand-ins, or any white space (Unicode White_Space).
bool is_space(std::uint32_t c) {
  return c == 0x120 || c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

struct SpaceCounts {
  std::uint32_t leading = 0, trailing = 0;
};

SpaceCounts count_spaces(std::string_view text) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::uint8_t* end = p + text.size();
  SpaceCounts counts;
  bool only_spaces = true;
  while (p < end) {
    if (is_space(next_char(p, end))) {
      ++counts.trailing;
      counts.leading += only_spaces ? 1 : 0;
    } else {
      counts.trailing = 0;
      only_spaces = false;
    }
  }
  return counts;
}

bool goes_on(char c) {
  return (static_cast<std::uint8_t>(c) & 0xC0) == 0x80;
}

// `count` characters behind `at`, at most `end`.
std::uint32_t forward(std::string_view source, std::uint32_t at, std::uint32_t count,
                      std::uint32_t end) {
  for (; count > 0 && at < end; --count) {
    for (++at; at < end && !source.empty() && goes_on(source[at]);) ++at;
  }
  return at;
}

// `count` characters before `at`, at least `begin`; `at` itself where the text has not so many.
std::uint32_t backward(std::string_view source, std::uint32_t at, std::uint32_t count,
                       std::uint32_t begin) {
  std::uint32_t to = at;
  for (; count > 0; --count) {
    if (to == 0) return at;
    for (--to; to > 0 && !source.empty() && goes_on(source[to]);) --to;
  }
  return std::max(to, begin);
}

// Takes white space out of the spans. One space before the first token is taken for the one that
// the pre-tokenizer added, which has no place in the text.
void trim_spans(TokenRun& run, bool add_prefix_space, const TokenTexts& texts) {
  for (std::size_t i = 0; i < run.spans.size(); ++i) {
    TokenSpan& span = run.spans[i];
    const SpaceCounts spaces = count_spaces(texts(run.ids[i]));
    const bool was_added = (i == 0 || span.begin == 0) && add_prefix_space && spaces.leading == 1;
    if (!was_added) span.begin = forward(run.source, span.begin, spaces.leading, span.end);
    span.end = backward(run.source, span.end, spaces.trailing, span.begin);
  }
}

TokenRun special_run(const std::vector<std::uint32_t>& ids, std::uint32_t type_id, bool has_spans) {
  TokenRun run;
  run.ids = ids;
  run.type_ids.assign(ids.size(), type_id);
  run.is_special.assign(ids.size(), 1);
  if (has_spans) run.spans.resize(ids.size());
  run.has_spans = has_spans;
  return run;
}

void append(TokenRun& to, const TokenRun& from) {
  to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.end());
  to.type_ids.insert(to.type_ids.end(), from.type_ids.begin(), from.type_ids.end());
  to.is_special.insert(to.is_special.end(), from.is_special.begin(), from.is_special.end());
  to.spans.insert(to.spans.end(), from.spans.begin(), from.spans.end());
  to.has_spans = to.has_spans || from.has_spans;
  if (to.source.empty()) to.source = from.source;
}

bool have_spans(const std::vector<TokenRun>& runs) {
  return std::any_of(runs.begin(), runs.end(), [](const TokenRun& r) { return r.has_spans; });
}

// The text is no longer told from special tokens that an earlier processor put in: as `tokenizers`.
TokenRun framed(const TokenRun& run, std::optional<std::uint32_t> before, std::uint32_t after,
                std::uint32_t type_id, bool has_spans) {
  TokenRun out;
  if (before) out = special_run({*before}, type_id, has_spans);
  append(out, run);
  std::fill(out.is_special.begin() + (before ? 1 : 0), out.is_special.end(), std::uint8_t{0});
  append(out, special_run({after}, type_id, has_spans));
  return out;
}

class ByteLevelProcessor final : public PostProcessor {
 public:
  ByteLevelProcessor(bool add_prefix_space, bool trim_offsets)
      : add_prefix_space_(add_prefix_space), trim_offsets_(trim_offsets) {}
  void apply(std::vector<TokenRun>& runs, bool, const TokenTexts& texts) const override {
    if (!trim_offsets_) return;
    for (TokenRun& run : runs) trim_spans(run, add_prefix_space_, texts);
  }

 private:
  bool add_prefix_space_, trim_offsets_;
};

class BertProcessor final : public PostProcessor {
 public:
  BertProcessor(std::uint32_t cls, std::uint32_t sep) : cls_(cls), sep_(sep) {}
  void apply(std::vector<TokenRun>& runs, bool add_special_tokens,
             const TokenTexts&) const override {
    if (!add_special_tokens) return;
    const bool has_spans = have_spans(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      runs[i] = i == 0 ? framed(runs[i], cls_, sep_, 0, has_spans)
                       : framed(runs[i], std::nullopt, sep_, 1, has_spans);
    }
  }

 private:
  std::uint32_t cls_, sep_;
};

class RobertaProcessor final : public PostProcessor {
 public:
  RobertaProcessor(std::uint32_t cls, std::uint32_t sep, bool trim_offsets, bool add_prefix_space)
      : cls_(cls), sep_(sep), spans_(add_prefix_space, trim_offsets) {}
  void apply(std::vector<TokenRun>& runs, bool add_special_tokens,
             const TokenTexts& texts) const override {
    spans_.apply(runs, add_special_tokens, texts);
    const bool has_spans = have_spans(runs);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      std::fill(runs[i].type_ids.begin(), runs[i].type_ids.end(), 0u);
      if (add_special_tokens) {
        runs[i] = framed(runs[i], i == 0 ? cls_ : sep_, sep_, 0, has_spans);
      }
    }
  }

 private:
  std::uint32_t cls_, sep_;
  ByteLevelProcessor spans_;
};

struct TemplatePiece {
  int sequence = -1;  // 0 or 1; -1: the ids
  std::uint32_t type_id = 0;
  std::vector<std::uint32_t> ids;
};
using Template = std::vector<TemplatePiece>;

class TemplateProcessor final : public PostProcessor {
 public:
  TemplateProcessor(Template single, Template pair)
      : single_(std::move(single)), pair_(std::move(pair)) {}
  void apply(std::vector<TokenRun>& runs, bool add_special_tokens,
             const TokenTexts&) const override {
    if (runs.empty() || runs.size() > 2) {
      throw DataError("post_processor: a TemplateProcessing must get one or two sequences, got " +
                      std::to_string(runs.size()) + " from the step before it");
    }
    const bool has_spans = have_spans(runs);
    std::vector<TokenRun> out;
    for (const TemplatePiece& piece : runs.size() == 1 ? single_ : pair_) {
      if (piece.sequence >= 0) {
        TokenRun& run = runs[static_cast<std::size_t>(piece.sequence)];
        std::fill(run.type_ids.begin(), run.type_ids.end(), piece.type_id);
        out.push_back(run);
      } else if (add_special_tokens) {
        out.push_back(special_run(piece.ids, piece.type_id, has_spans));
      }
    }
    runs = std::move(out);
  }

 private:
  Template single_, pair_;
};

class ProcessorSequence final : public PostProcessor {
 public:
  explicit ProcessorSequence(std::vector<std::unique_ptr<PostProcessor>> steps)
      : steps_(std::move(steps)) {}
  void apply(std::vector<TokenRun>& runs, bool add_special_tokens,
             const TokenTexts& texts) const override {
    for (const auto& step : steps_) step->apply(runs, add_special_tokens, texts);
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> steps_;
};

class ProcessorReader {
 public:
  explicit ProcessorReader(std::size_t vocab_size) : vocab_size_(vocab_size) {}

  std::unique_ptr<PostProcessor> read(const Json& c, const std::string& where) {
    if (++num_steps_ > kMaxPieces) {
      throw DataError(where + ": must have at most " + std::to_string(kMaxPieces) +
                      " steps, got more");
    }
    const std::string_view type = c["type"].as_string(where + ".type");
    const auto flag = [&](const char* field) { return c[field].as_bool(where + "." + field); };
    if (type == "ByteLevel") {
      return std::make_unique<ByteLevelProcessor>(flag("add_prefix_space"), flag("trim_offsets"));
    }
    if (type == "BertProcessing") {
      return std::make_unique<BertProcessor>(pair_id(c["cls"], where + ".cls"),
                                             pair_id(c["sep"], where + ".sep"));
    }
    if (type == "RobertaProcessing") {
      return std::make_unique<RobertaProcessor>(pair_id(c["cls"], where + ".cls"),
                                                pair_id(c["sep"], where + ".sep"),
                                                flag("trim_offsets"), flag("add_prefix_space"));
    }
    if (type == "TemplateProcessing") {
      return std::make_unique<TemplateProcessor>(read_template(c, "single", 1, where),
                                                 read_template(c, "pair", 2, where));
    }
    if (type == "Sequence") return read_sequence(c, where);
    throw DataError(where + ".type: must be a post-processor of tokenizer.json, got " +
                    c["type"].describe());
  }

 private:
  std::unique_ptr<PostProcessor> read_sequence(const Json& c, const std::string& where) {
    std::vector<std::unique_ptr<PostProcessor>> steps;
    for (const Json& child : c["processors"].as_items(where + ".processors")) {
      steps.push_back(read(child, where + ".processors[" + std::to_string(steps.size()) + "]"));
    }
    return std::make_unique<ProcessorSequence>(std::move(steps));
  }

  std::uint32_t read_id(const Json& value, const std::string& where) const {
    return static_cast<std::uint32_t>(
        value.as_integer(where, 0, static_cast<std::int64_t>(vocab_size_) - 1));
  }

  // ["[SEP]", 102]
  std::uint32_t pair_id(const Json& value, const std::string& where) const {
    const auto items = value.as_items(where);
    if (items.size() != 2) {
      throw DataError(where + ": must be a token and its id, got " + std::to_string(items.size()) +
                      " values");
    }
    items[0].as_string(where + "[0]");
    return read_id(items[1], where + "[1]");
  }

  Template read_template(const Json& c, const std::string& field, int num_sequences,
                         const std::string& where) const {
    Template pieces;
    std::size_t num_added = 0;
    const std::string list = where + "." + field;
    for (const Json& item : c[field].as_items(list)) {
      std::string at = list + "[";
      (at += std::to_string(pieces.size())) += ']';
      if (pieces.size() == kMaxPieces) {
        throw DataError(at + ": must not be there, as a template has " +
                        std::to_string(kMaxPieces) + " pieces at most");
      }
      pieces.push_back(item["Sequence"].is_null()
                           ? read_special(item["SpecialToken"], c["special_tokens"], at, where)
                           : read_sequence_piece(item["Sequence"], num_sequences, at));
      num_added += pieces.back().ids.size();
      if (num_added > kMaxAddedIds) {
        throw DataError(at + ": must add at most " + std::to_string(kMaxAddedIds) +
                        " ids with those before it, got " + std::to_string(num_added));
      }
    }
    return pieces;
  }

  static std::uint32_t read_type_id(const Json& value, const std::string& at) {
    return static_cast<std::uint32_t>(value["type_id"].as_integer(at + ".type_id", 0, UINT32_MAX));
  }

  static TemplatePiece read_sequence_piece(const Json& value, int num_sequences,
                                           const std::string& at) {
    const std::string_view id = value["id"].as_string(at + ".Sequence.id");
    if (id != "A" && (id != "B" || num_sequences < 2)) {
      throw DataError(at + ".Sequence.id: must be " +
                      (num_sequences < 2 ? R"("A" for a single text)" : R"("A" or "B")") +
                      ", got " + value["id"].describe());
    }
    return {id == "A" ? 0 : 1, read_type_id(value, at + ".Sequence"), {}};
  }

  TemplatePiece read_special(const Json& value, const Json& special_tokens, const std::string& at,
                             const std::string& where) const {
    const std::string_view name = value["id"].as_string(at + ".SpecialToken.id");
    const Json& token = special_tokens[name];
    if (token.is_null()) {
      throw DataError(at + ".SpecialToken.id: must be one of special_tokens, got " +
                      value["id"].describe());
    }
    const std::string field = where + ".special_tokens." + json_quote(name) + ".ids";
    TemplatePiece piece{-1, read_type_id(value, at + ".SpecialToken"), {}};
    for (const Json& id : token["ids"].as_items(field)) piece.ids.push_back(read_id(id, field));
    return piece;
  }

  std::size_t vocab_size_;
  std::size_t num_steps_ = 0;
};

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const Json& component, const std::string& where,
                                                   std::size_t vocab_size) {
  return component.is_null() ? nullptr : ProcessorReader(vocab_size).read(component, where);
}

TokenRun post_process(const PostProcessor* processor, TokenRun first,
                      std::optional<TokenRun> second, bool add_special_tokens,
                      const TokenTexts& texts) {
  std::vector<TokenRun> runs;
  runs.push_back(std::move(first));
  if (second) runs.push_back(std::move(*second));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i].type_ids.assign(runs[i].ids.size(), static_cast<std::uint32_t>(i));
    runs[i].is_special.assign(runs[i].ids.size(), 0);
  }
  TokenRun out;
  out.has_spans = have_spans(runs);
  if (processor != nullptr) processor->apply(runs, add_special_tokens, texts);
  for (const TokenRun& run : runs) append(out, run);
  return out;
}

std::optional<SpecialFrame> single_frame(const PostProcessor* processor) {
  TokenRun probe;
  probe.ids = {kProbe};
  const TokenRun run = post_process(processor, std::move(probe), std::nullopt, true, {});
  const auto at = std::find(run.ids.begin(), run.ids.end(), kProbe);
  if (at == run.ids.end() || std::find(at + 1, run.ids.end(), kProbe) != run.ids.end()) return {};
  return SpecialFrame{{run.ids.begin(), at}, {at + 1, run.ids.end()}};
}

}  // namespace llmcore::tokenizer
