#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/decode/decode_steps.h"
#include "tokenizer/decode/utf8_gate.h"
#include "tokenizer/errors.h"
#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/split/regex.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

namespace {

constexpr std::size_t kMaxSteps = 256;
// Steps that lengthen a text multiply; a file must not make a token fill the memory.
constexpr double kMaxGrowth = 4096;

using Steps = std::vector<std::unique_ptr<DecodeStep>>;

// Artifacts of tokenised English. Source: `tokenizers`, decoders/wordpiece.rs.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kCleanups{{
    {" .", "."},
    {" ?", "?"},
    {" !", "!"},
    {" ,", ","},
    {" ' ", "'"},
    {" n't", "n't"},
    {" 'm", "'m"},
    {" do not", " don't"},
    {" 's", "'s"},
    {" 've", "'ve"},
    {" 're", "'re"},
}};

void clean_up(std::string& text) {
  if (text.find(' ') == std::string::npos) return;
  for (const auto& [from, to] : kCleanups) replace_all(text, from, to);
}

class SpacesStep final : public DecodeStep {
 public:
  StepRole role() const override { return StepRole::kEachByFirst; }
  void rewrite(std::string& piece, Place place) const override {
    if (!place.is_first) piece.insert(0, 1, ' ');
  }
};

class ByteLevelStep final : public DecodeStep {
 public:
  StepRole role() const override { return StepRole::kBytes; }
  void decode(std::vector<std::string>& pieces) const override {
    std::string bytes, text, token;
    for (const std::string& piece : pieces) bytes += text_to_bytes(piece, token) ? token : piece;
    Utf8Gate gate;
    gate.push(bytes, text);
    gate.finish(text);
    pieces.clear();
    pieces.push_back(std::move(text));
  }
};

class WordPieceStep final : public DecodeStep {
 public:
  WordPieceStep(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  StepRole role() const override { return StepRole::kEachByFirst; }
  void rewrite(std::string& piece, Place place) const override {
    if (!place.is_first) {
      if (piece.starts_with(prefix_)) {
        piece.erase(0, prefix_.size());
      } else {
        piece.insert(0, 1, ' ');
      }
    }
    if (cleanup_) clean_up(piece);
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class MetaspaceStep final : public DecodeStep {
 public:
  MetaspaceStep(std::string mark, bool prepends) : mark_(std::move(mark)), prepends_(prepends) {}
  StepRole role() const override { return prepends_ ? StepRole::kEachByFirst : StepRole::kEach; }
  void rewrite(std::string& piece, Place place) const override {
    replace_all(piece, mark_, place.is_first && prepends_ ? "" : " ");
  }

 private:
  std::string mark_;
  bool prepends_;
};

class SuffixStep final : public DecodeStep {
 public:
  explicit SuffixStep(std::string suffix) : suffix_(std::move(suffix)) {}
  StepRole role() const override { return StepRole::kEachByLast; }
  void rewrite(std::string& piece, Place place) const override {
    replace_all(piece, suffix_, place.is_last ? "" : " ");
  }

 private:
  std::string suffix_;
};

class ReplaceStep final : public DecodeStep {
 public:
  ReplaceStep(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  StepRole role() const override { return StepRole::kEach; }
  void rewrite(std::string& piece, Place) const override {
    if (!piece.empty()) replace_all(piece, pattern_, content_);
  }

 private:
  std::string pattern_, content_;
};

class RegexReplaceStep final : public DecodeStep {
 public:
  RegexReplaceStep(Regex regex, std::string content)
      : regex_(std::move(regex)), content_(std::move(content)) {}
  StepRole role() const override { return StepRole::kEach; }
  void rewrite(std::string& piece, Place) const override {
    if (piece.empty()) return;
    std::vector<Match> matches;
    regex_.find_all(as_text(piece), matches);
    std::string out;
    std::size_t kept = 0;
    for (const Match& match : matches) {
      out.append(piece, kept, match.begin - kept) += content_;
      kept = match.end;
    }
    piece = out.append(piece, kept);
  }

 private:
  Regex regex_;
  std::string content_;
};

class CtcStep final : public DecodeStep {
 public:
  CtcStep(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  StepRole role() const override { return StepRole::kRepeats; }
  void rewrite(std::string& piece, Place) const override {
    if (!pad_.empty()) replace_all(piece, pad_, "");
    if (!cleanup_) return;
    clean_up(piece);
    replace_all(piece, delimiter_, " ");
  }
  void decode(std::vector<std::string>& pieces) const override {
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (std::string& piece : pieces) rewrite(piece, {});
    std::erase_if(pieces, [](const std::string& piece) { return piece.empty(); });
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class ByteFallbackStep final : public DecodeStep {
 public:
  StepRole role() const override { return StepRole::kByteRuns; }
  void decode(std::vector<std::string>& pieces) const override {
    std::vector<std::string> out;
    out.reserve(pieces.size());
    std::string run;
    const auto end_run = [&] {
      if (run.empty()) return;
      if (valid_utf8_length(run) == run.size()) {
        out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), std::string(kReplacementText));
      }
      run.clear();
    };
    for (std::string& piece : pieces) {
      const int byte = byte_of_token(piece);
      if (byte >= 0) {
        run += static_cast<char>(byte);
      } else {
        end_run();
        out.push_back(std::move(piece));
      }
    }
    end_run();
    pieces = std::move(out);
  }
};

class FuseStep final : public DecodeStep {
 public:
  StepRole role() const override { return StepRole::kFuse; }
  void decode(std::vector<std::string>& pieces) const override {
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    pieces.clear();
    pieces.push_back(std::move(text));
  }
};

// One character.
std::string char_of(const Json& value, const std::string& where) {
  const std::string_view text = value.as_string(where);
  std::uint32_t c = 0;
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  if (text.empty() || decode_utf8(p, p + text.size(), c) != text.size()) {
    throw DataError(where + ": must be one character, got " + value.describe());
  }
  return std::string(text);
}

// What files older than prepend_scheme say by add_prefix_space.
bool metaspace_prepends(const Json& component, const std::string& where) {
  const Json& adds = component["add_prefix_space"];
  const bool may_add = adds.is_null() || adds.as_bool(where + ".add_prefix_space");
  const Json& scheme = component["prepend_scheme"];
  if (scheme.is_null()) return may_add;
  const std::string_view name = scheme.as_string(where + ".prepend_scheme");
  if (name != "always" && name != "never" && name != "first") {
    throw DataError(where + R"(.prepend_scheme: must be "always", "never" or "first", got )" +
                    scheme.describe());
  }
  if (!may_add && name != "never") {
    throw DataError(where + R"(.prepend_scheme: must be "never" without a prefix space, got )" +
                    scheme.describe());
  }
  return name != "never";
}

class Builder {
 public:
  Steps steps;

  void add(const Json& component, const std::string& where) {
    const std::string_view type = component["type"].as_string(where + ".type");
    if (type == "Sequence") {
      std::size_t index = 0;
      for (const Json& child : component["decoders"].as_items(where + ".decoders")) {
        add(child, where + ".decoders[" + std::to_string(index++) + "]");
      }
      return;
    }
    if (steps.size() == kMaxSteps) {
      throw DataError(where + ": must have at most " + std::to_string(kMaxSteps) +
                      " steps, got more");
    }
    steps.push_back(make(type, component, where));
    if (growth_ > kMaxGrowth) {
      throw DataError(where + ": must not make texts more than " +
                      std::to_string(static_cast<int>(kMaxGrowth)) + " times longer, got more");
    }
  }

 private:
  std::unique_ptr<DecodeStep> make(std::string_view type, const Json& c, const std::string& where) {
    const auto text = [&](const char* field) {
      return std::string(c[field].as_string(where + "." + field));
    };
    const auto flag = [&](const char* field) { return c[field].as_bool(where + "." + field); };
    const auto count = [&](const char* field) {
      return static_cast<std::uint64_t>(c[field].as_integer(where + "." + field, 0, INT64_MAX));
    };
    if (type == "ByteLevel") return std::make_unique<ByteLevelStep>();
    if (type == "WordPiece") {
      return std::make_unique<WordPieceStep>(text("prefix"), flag("cleanup"));
    }
    if (type == "Metaspace") {
      return std::make_unique<MetaspaceStep>(char_of(c["replacement"], where + ".replacement"),
                                             metaspace_prepends(c, where));
    }
    if (type == "BPEDecoder") {
      count_growth(text("suffix"), " ");
      return std::make_unique<SuffixStep>(text("suffix"));
    }
    if (type == "ByteFallback") return std::make_unique<ByteFallbackStep>();
    if (type == "Fuse") return std::make_unique<FuseStep>();
    if (type == "Strip") {
      return std::make_unique<StripStep>(char_of(c["content"], where + ".content"), count("start"),
                                         count("stop"));
    }
    if (type == "Replace") return make_replace(c, where);
    if (type == "CTC") {
      count_growth(text("word_delimiter_token"), " ");
      return std::make_unique<CtcStep>(text("pad_token"), text("word_delimiter_token"),
                                       flag("cleanup"));
    }
    if (type == "SentencePiece") {
      count_growth("x", c["unk_surface"].is_null() ? "     " : text("unk_surface"));
      return std::make_unique<SentencePieceStep>(c, where);
    }
    throw DataError(where + ".type: must be a decoder of tokenizer.json, got " +
                    c["type"].describe());
  }

  std::unique_ptr<DecodeStep> make_replace(const Json& c, const std::string& where) {
    const Json& pattern = c["pattern"];
    std::string content(c["content"].as_string(where + ".content"));
    if (!pattern["Regex"].is_null()) {
      const std::string field = where + ".pattern.Regex";
      count_growth("", content);  // it may match between any two characters
      return std::make_unique<RegexReplaceStep>(
          Regex(pattern["Regex"].as_string(field), RegexFlavor::kOniguruma, field),
          std::move(content));
    }
    const std::string text(pattern["String"].as_string(where + ".pattern.String"));
    count_growth(text, content);
    return std::make_unique<ReplaceStep>(text, std::move(content));
  }

  void count_growth(std::string_view from, std::string_view to) {
    const double size = static_cast<double>(to.size());
    growth_ *= from.empty() ? 1 + 2 * size : std::max(1.0, size / static_cast<double>(from.size()));
  }

  double growth_ = 1;
};

}  // namespace

std::unique_ptr<DecoderChain> make_decoder_chain(const Json& component, const std::string& where) {
  Builder builder;
  if (component.is_null()) {
    builder.steps.push_back(std::make_unique<SpacesStep>());
  } else {
    builder.add(component, where);
  }
  return std::make_unique<DecoderChain>(std::move(builder.steps));
}

std::unique_ptr<Decoder> make_decoder(const Json& component, const std::string& where) {
  return component.is_null() ? nullptr : make_decoder_chain(component, where);
}

}  // namespace llmcore::tokenizer
