// Any bytes as text for a small tokenizer of every kind.
#include <algorithm>

#include "small_tokenizers.h"
#include "target.h"
#include "tokenizer/decode/stream.h"
#include "tokenizer/errors.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;
using test::SmallTokenizer;

using Ids = std::vector<std::uint32_t>;

Ids ids_of(const Encoded& encoded) {
  return {encoded.ids.data(), encoded.ids.data() + encoded.ids.size()};
}

void check_decoding(const SmallTokenizer& small, const Ids& ids, std::string_view text) {
  const auto& table = small.pipeline->token_bytes();
  const std::string whole = table->decode(ids, false);
  StreamDecoder stream(table, false);
  std::string joined;
  for (const std::uint32_t id : ids) {
    stream.push(id, joined);
    require(valid_utf8_length(joined) == joined.size(), "a stream's text is not UTF-8");
  }
  stream.finish(joined);
  require(joined == whole, "a stream's text differs from decode()");
  if (!small.keeps_bytes) return;
  std::string bytes;
  table->decode_bytes(ids, false, bytes);
  require(bytes == text, "decoding does not give the text back");
}

// With offsets the ids are the same, and the spans go forward within the text.
void check_offsets(const Pipeline& pipeline, EncodeOptions options, std::string_view text,
                   const Ids& ids) {
  options.tracks = true;
  const Encoded tracked = pipeline.encode(as_text(text), options);
  require(ids_of(tracked) == ids, "offsets change the ids");
  require(tracked.origins.size() == ids.size(), "not one span for each id");
  // Trimming moves a piece of white space past the prefix space of the next, as in `tokenizers`.
  const bool trims = pipeline.spec().post_processor.find("trim_offsets") != std::string::npos;
  std::uint32_t begin = 0;
  for (const Origin& origin : tracked.origins) {
    require(origin.begin <= origin.end && origin.end <= text.size(), "a span leaves the text");
    if (origin == Origin{}) continue;  // put in by the post-processor
    require(trims || origin.begin >= begin, "spans go back");
    begin = origin.begin;
  }
}

void check_batch(const Pipeline& pipeline, const EncodeOptions& options, std::string_view text) {
  std::vector<Text> texts;
  for (std::string_view rest = text; !rest.empty();) {
    const auto [line, next] = cut(rest, '\n');
    texts.push_back(as_text(line));
    rest = next;
  }
  texts.push_back(as_text(text));
  const auto ids_by = [&](unsigned num_threads) {
    const BatchIds batch = pipeline.encode_batch(texts, options, num_threads, {});
    return std::pair(Ids(batch.ids.data(), batch.ids.data() + batch.ids.size()), batch.offsets);
  };
  const auto one = ids_by(1);
  require(one == ids_by(2), "two threads give other ids than one");
  const Ids last = ids_of(pipeline.encode(texts.back(), options));
  const auto begin = one.second[texts.size() - 1];
  require(std::equal(last.begin(), last.end(), one.first.begin() + begin, one.first.end()),
          "a batch gives other ids than its texts one by one");
}

void check_samples(const Pipeline& pipeline, const EncodeOptions& options, std::string_view text,
                   const Ids& ids) {
  const TokenizerSpec& spec = pipeline.spec();
  if (spec.kind == ModelKind::kWordPiece) return;
  if (spec.kind == ModelKind::kBpe && !options.add_special_tokens) {
    const Encoded plain = pipeline.sample(as_text(text), options, 0, 1);
    require(ids_of(plain) == ids, "dropout of 0 changes the ids");
  }
  const Ids drawn = ids_of(pipeline.sample(as_text(text), options, 0.5, 7));
  require(drawn == ids_of(pipeline.sample(as_text(text), options, 0.5, 7)),
          "equal seeds give other samples");
  for (const std::uint32_t id : drawn) require(id < pipeline.size(), "an id beyond size()");
  if (spec.kind != ModelKind::kUnigram || text.size() > 256) return;
  double last = 1e300;
  try {
    for (const auto& [score, path] : pipeline.nbest(as_text(text), 4)) {
      require(score <= last + 1e-3, "n-best is not best first");
      last = score;
    }
  } catch (const ConfigError&) {  // more than one piece
  }
}

// First byte: bit 0 added tokens, bit 1 special tokens around the text.
void check_text(const SmallTokenizer& small, std::string_view input) {
  if (input.empty()) return;
  const unsigned flags = static_cast<std::uint8_t>(input[0]);
  const std::string_view text = input.substr(1);
  const Pipeline& pipeline = *small.pipeline;
  EncodeOptions options = test::allow_all(pipeline);
  if ((flags & 1) == 0) std::ranges::fill(options.allowed, 0);
  options.add_special_tokens = (flags & 2) != 0;
  const Ids ids = ids_of(pipeline.encode(as_text(text), options));
  for (const std::uint32_t id : ids) require(id < pipeline.size(), "an id beyond size()");
  check_decoding(small, ids, text);
  check_offsets(pipeline, options, text, ids);
  check_batch(pipeline, options, text);
  check_samples(pipeline, options, text, ids);
}

const std::vector<SmallTokenizer>& all_small() {
  static const std::vector<SmallTokenizer> all = test::small_tokenizers();
  return all;
}

template <std::size_t kIndex>
void run_text(std::string_view input) {
  check_text(all_small()[kIndex], input);
}

std::vector<std::string> text_seeds() {
  return {"1aab ab  abc\nfoo the  th\xC3\xA9 <|end|> unable 1234 don't [UNK] <sep>.",
          "2\xE6\x97\xA5\xE6\x9C\xAC\xE2\x96\x81 a\xCC\x81\xF0\x9F\x98\x80\xFF\xC3 \t\r\n  ",
          "3" + std::string(512, 'a'), "0" + std::string(300, ' ') + "x", "0abab<|end|><|end|>aa"};
}

const std::vector<std::string> kWords = {"a",
                                         "ab",
                                         "aa",
                                         "aaaa",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\r\n",
                                         "the",
                                         " th",
                                         "<|end|>",
                                         "foo",
                                         "<sep>",
                                         "[UNK]",
                                         "un",
                                         "able",
                                         "\xE2\x96\x81",
                                         "\xE6\x97\xA5",
                                         "\xC3\xA9",
                                         "\xC3",
                                         "\xF0\x9F\x98\x80",
                                         "\xFF",
                                         "'s",
                                         "12",
                                         "<0x61>",
                                         "<s>",
                                         "\xCC\x81",
                                         std::string(1, '\0'),
                                         ".",
                                         "\xC2\xA0",
                                         "\xE3\x80\x80"};

// One target for each tokenizer, whose number is a template argument: targets are plain functions.
template <std::size_t... kIndex>
std::vector<Target> make_targets(std::index_sequence<kIndex...>) {
  const Bounds bounds = {.steps = 3'000'000, .steps_per_byte = 4'000};
  return {
      {"text-" + all_small()[kIndex].name, run_text<kIndex>, text_seeds, kWords, 6144, bounds}...};
}

}  // namespace

std::vector<Target> text_targets() {
  // Those derived from an earlier one for its format alone come last and are left out.
  return make_targets(std::make_index_sequence<11>());
}

}  // namespace llmcore::fuzz
