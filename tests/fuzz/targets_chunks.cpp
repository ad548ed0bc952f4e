// Encoding by memory of chunks of the raw text (pipeline/chunk_encoder.h) against the whole text
// at once, for random tokenizers: whatever was encoded before, the ids are the same.
#include <algorithm>
#include <optional>

#include "random_spec.h"
#include "small_tokenizers.h"
#include "target.h"
#include "tokenizer/errors.h"
#include "tokenizer/pipeline/pipeline.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;

using Ids = std::vector<std::uint32_t>;

// Nothing where the text cannot be encoded.
std::optional<Ids> ids_of(const Pipeline& pipeline, const EncodeOptions& options,
                          std::string_view text) {
  try {
    const Encoded encoded = pipeline.encode(as_text(text), options);
    return Ids(encoded.ids.data(), encoded.ids.data() + encoded.ids.size());
  } catch (const ConfigError&) {
    return std::nullopt;
  }
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// The texts, parts of them, and them again: each part meets a memory full of the others.
std::vector<std::string> texts_of(std::string_view input) {
  constexpr std::size_t kMostTexts = 6, kMostBytes = 4096;
  std::vector<std::string> texts;
  std::string_view rest = input;
  while (!rest.empty() && texts.size() < kMostTexts) {
    const auto [text, next] = cut(rest, '\x1E');
    texts.emplace_back(text);
    rest = next;
  }
  for (std::size_t i = 0, n = texts.size(); i < n; ++i) {
    const std::string text = texts[i];
    const std::size_t space = text.find(' ');
    if (space == std::string::npos) continue;
    texts.push_back(text.substr(space));
    texts.push_back(text.substr(space + 1) + text.substr(0, space));
    if (i == 0 && text.size() <= 64) {
      // A score far from where a path was learnt.
      texts.push_back(repeated(text, std::min<std::size_t>(400, kMostBytes / (text.size() + 1))));
    }
  }
  return texts;
}

// kSpecHead bytes that are a tokenizer, a byte of options, texts parted by U+001E.
void run_chunks(std::string_view input) {
  if (input.size() < kSpecHead + 1) return;
  const TokenizerSpec spec = random_spec(input.substr(0, kSpecHead));
  const Pipeline chunked(spec), whole(spec);
  const auto flags = static_cast<std::uint8_t>(input[kSpecHead]);
  EncodeOptions options = test::allow_all(chunked);
  if ((flags & 1) == 0) std::ranges::fill(options.allowed, 0);
  EncodeOptions tracking = options;
  tracking.tracks = true;
  const std::vector<std::string> texts = texts_of(input.substr(kSpecHead + 1));
  std::vector<std::optional<Ids>> expected;
  for (const std::string& text : texts) {
    expected.push_back(ids_of(whole, tracking, text));
    require(ids_of(chunked, options, text) == expected.back(),
            "chunks give other ids than the whole text");
    require(ids_of(chunked, options, text) == expected.back(),
            "chunks give other ids the second time");
  }
  for (std::size_t i = texts.size(); i-- > 0;) {
    require(ids_of(chunked, options, texts[i]) == expected[i],
            "chunks give other ids after other texts");
  }
  if (!texts.empty()) {
    const Pipeline fresh(spec);
    require(ids_of(fresh, tracking, texts.back()) == expected.back(),
            "a whole text has other ids after other texts");
  }
}

std::vector<std::string> chunk_seeds() {
  const std::string texts =
      "a b  ab abc\tthe\xE2\x96\x81 a\xCC\x81 \xCC\x81x.\xE6\x97\xA5 \xC2\xA0"
      "b\n a b ab a\x1E a \x1E"
      "(the) ab#7 1.a a,b zz the ab\xE2\x80\x8B \xE3\x80\x80"
      "a\r\n\tab \xF0\x9F\x98\x80 a  ";
  std::vector<std::string> seeds;
  for (unsigned family = 0; family < 8; ++family) {
    for (unsigned i = 0; i < 24; ++i) {
      std::string seed;
      seed += static_cast<char>(family);
      seed += static_cast<char>(i * 37 + family);
      seed += static_cast<char>(i * 11);
      seed += static_cast<char>(i);
      for (unsigned j = 0; j < 4; ++j) seed += static_cast<char>(family * 31 + i * 7 + j);
      seed += static_cast<char>(i & 1);
      seeds.push_back(seed + (i % 6 == 3 ? "abab ba bbaab abba aab\x1E" : "") + texts);
    }
  }
  return seeds;
}

const std::vector<std::string> kWords = {"a",
                                         "b",
                                         "ab",
                                         "the",
                                         " ",
                                         "  ",
                                         " a",
                                         "a ",
                                         "\t",
                                         "\n",
                                         "\r\n",
                                         "\x0B",
                                         "\xC2\x85",
                                         "\xC2\xA0",
                                         "\xE3\x80\x80",
                                         "\xE2\x80\x8B",
                                         "\xE2\x80\xA8",
                                         "\xEF\xBB\xBF",
                                         "\xE2\x96\x81",
                                         "\xE2\x96\x81"
                                         "a",
                                         "a\xE2\x96\x81",
                                         "\xCC\x81",
                                         " \xCC\x81",
                                         "e\xCC\x81",
                                         "\xC3\xA9",
                                         "\xE6\x97\xA5",
                                         "\xF0\x9F\x98\x80",
                                         "\xFF",
                                         "\xC3",
                                         "\x7F",
                                         std::string(1, '\0'),
                                         "<s>",
                                         "<unk>",
                                         "<0x61>",
                                         ".",
                                         "1",
                                         "A",
                                         "\x1E",
                                         "(",
                                         "#",
                                         "(#",
                                         "7",
                                         "z",
                                         "ba",
                                         "a.b",
                                         "abab"};

}  // namespace

std::vector<Target> chunk_targets() {
  return {{"chunks",
           run_chunks,
           chunk_seeds,
           kWords,
           2048,
           {.steps = 200'000'000, .steps_per_byte = 200'000}}};
}

}  // namespace llmcore::fuzz
