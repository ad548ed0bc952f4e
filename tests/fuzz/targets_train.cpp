// Counting words and learning vocabularies of them (train/), with random options.
#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "mutator.h"
#include "small_tokenizers.h"
#include "target.h"
#include "tokenizer/errors.h"
#include "tokenizer/formats/sha256.h"
#include "tokenizer/pipeline/pipeline.h"
#include "tokenizer/text/utf8.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/count_file.h"
#include "tokenizer/train/piece_cutter.h"
#include "tokenizer/train/sentencepiece_bpe.h"
#include "tokenizer/train/unigram_trainer.h"
#include "tokenizer/train/word_counter.h"
#include "tokenizer/train/wordpiece_trainer.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;

constexpr std::size_t kHead = 8;  // bytes of an input that say what is learnt, and how

struct Cutting {
  const char *normalizer, *pre_tokenizer;
};

constexpr Cutting kByteCuttings[] = {
    {"null",
     R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})"},
    {R"({"type":"NFC"})",
     R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})"}};
constexpr Cutting kCharCuttings[] = {
    {"null", R"({"type":"Whitespace"})"},
    {R"({"type":"Lowercase"})", R"({"type":"WhitespaceSplit"})"},
    {R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})",
     R"({"type":"BertPreTokenizer"})"}};
constexpr Cutting kMarkCuttings[] = {
    {R"({"type":"SentencePiece","add_dummy_prefix":true,"remove_extra_whitespaces":true,"escape_whitespaces":true})",
     R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true})"},
    {R"({"type":"SentencePiece","add_dummy_prefix":false,"remove_extra_whitespaces":false,"escape_whitespaces":true})",
     "null"}};

// Options from the head of an input.
class Draw {
 public:
  explicit Draw(std::string_view head) : random_(0) {
    std::uint64_t seed = 0;
    for (const char c : head) seed = seed << 8 | static_cast<std::uint8_t>(c);
    random_ = Random(seed);
  }
  std::size_t below(std::size_t bound) { return random_.below(bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  const Cutting& pick(std::span<const Cutting> list) { return list[below(list.size())]; }
  // Distinct and not empty, as the library's door has them.
  std::vector<std::string> some(std::vector<std::string> from) {
    std::erase_if(from, [&](const std::string&) { return !one_in(4); });
    return from;
  }

 private:
  Random random_;
};

const std::vector<std::string> kSymbols = {"<s>",          "<pad>",        "a",     "ab",
                                           "\xE6\x97\xA5", "\xE2\x96\x81", "[UNK]", "b "};

std::vector<Text> lines_of(std::string_view input) {
  std::vector<Text> lines;
  for (std::string_view rest = input; !rest.empty();) {
    const auto [line, next] = cut(rest, '\n');
    lines.push_back(as_text(line));
    rest = next;
  }
  return lines;
}

// Counts by several ways: they agree, and so do their files.
std::unique_ptr<WordCounter> count(const Cutting& cutting, const std::vector<Text>& lines,
                                   Draw& draw) {
  const auto cutter =
      std::make_shared<const PieceCutter>(cutting.normalizer, cutting.pre_tokenizer);
  auto one = std::make_unique<WordCounter>(1, cutter);
  WordCounter two(2, cutter), front(1, cutter), back(2, cutter);
  one->count(lines, {});
  two.count(lines, {});
  const auto middle = lines.begin() + static_cast<std::ptrdiff_t>(lines.size() / 2);
  front.count({lines.begin(), middle}, {});
  back.count({middle, lines.end()}, {});
  front.add(back);
  const std::string file = write_counts(*one);
  require(write_counts(two) == file, "two threads count otherwise than one");
  require(write_counts(front) == file, "two halves are not the whole");
  WordCounter read = read_counts(as_text(file), "counts", 2);
  require(write_counts(read) == file, "a count file changes when it is read");
  // Some words are far more frequent than a small text can show.
  if (draw.one_in(3)) {
    std::vector<std::string> words;
    one->merged().for_each([&](std::string_view word, std::int64_t) { words.emplace_back(word); });
    std::ranges::sort(words);
    // A third of them so much that sums of a few pass 2^63, which is refused.
    const std::int64_t base = draw.one_in(3) ? std::int64_t{1} << 60 : 1;
    for (const std::string& word : words) {
      if (draw.one_in(2)) one->add(word, base + static_cast<std::int64_t>(draw.below(1ull << 40)));
    }
  }
  return one;
}

// The same words, put in another order into as many tables as threads.
WordTable shuffled(WordCounter& counter, unsigned num_threads) {
  std::vector<std::pair<std::string, std::int64_t>> words;
  counter.merged().for_each(
      [&](std::string_view word, std::int64_t times) { words.emplace_back(word, times); });
  std::ranges::sort(words, std::greater<>());
  WordCounter other(num_threads);
  for (const auto& [word, times] : words) other.add(word, times);
  return other.take();
}

// Or an error, which may name another word in another order of the words.
struct Learnt {
  TokenizerSpec spec;
  std::string error;

  bool operator==(const Learnt& other) const {
    return error.empty() == other.error.empty() && spec.tokens == other.spec.tokens &&
           spec.merges == other.spec.merges && spec.scores == other.spec.scores;
  }
};

Learnt learn(const std::function<TokenizerSpec()>& train) {
  try {
    return {train(), ""};
  } catch (const ConfigError& error) {
    return {{}, error.what()};
  } catch (const DataError& error) {
    return {{}, error.what()};
  }
}

// WordPiece keeps its alphabet whole, whatever vocab_size is.
bool is_alphabet(const TokenizerSpec& spec) {
  return std::all_of(spec.tokens.begin() + static_cast<std::ptrdiff_t>(spec.added.size()),
                     spec.tokens.end(), [&](std::string_view token) {
                       const std::string_view prefix = spec.wordpiece.continuing_subword_prefix;
                       if (token.starts_with(prefix)) token.remove_prefix(prefix.size());
                       std::uint32_t c = 0;
                       const Text text = as_text(token);
                       return decode_utf8(text.data(), text.data() + text.size(), c) == text.size();
                     });
}

// What was learnt makes a tokenizer that encodes the text it learnt from.
void check_use(const TokenizerSpec& spec, std::size_t vocab_size, const std::vector<Text>& lines) {
  require(
      spec.tokens.size() <= vocab_size || (spec.kind == ModelKind::kWordPiece && is_alphabet(spec)),
      "more tokens than vocab_size");
  const Pipeline pipeline(spec);
  EncodeOptions options = test::allow_all(pipeline);
  for (const Text line : lines) {
    try {
      const Encoded encoded = pipeline.encode(line, options);
      for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
        require(encoded.ids.data()[i] < pipeline.size(), "an id beyond size()");
      }
    } catch (const ConfigError&) {  // no token for unknown characters
    }
  }
}

void add_specials(const std::vector<std::string>& texts, TokenizerSpec& spec) {
  std::uint32_t id = 0;
  for (const std::string& text : texts) {
    spec.added.push_back({.id = id++, .content = text, .special = true});
  }
}

using Train = std::function<TokenizerSpec(const WordTable& words, unsigned num_threads)>;

void check_training(const Train& train, std::size_t vocab_size, WordCounter& counter,
                    const std::vector<Text>& lines) {
  const Learnt one = learn([&] { return train(counter.merged(), 1); });
  const Learnt two = learn([&] { return train(shuffled(counter, 2), 2); });
  require(one == two, "two threads learn otherwise than one");
  if (one.error.empty()) check_use(one.spec, vocab_size, lines);
}

BpeTrainerArgs draw_bpe(Draw& draw, bool byte_level) {
  BpeTrainerArgs args;
  args.byte_level = byte_level;
  args.vocab_size = (byte_level ? 256 : 0) + draw.below(96);
  args.special_tokens = draw.some(kSymbols);
  args.tie_break = static_cast<TieBreak>(draw.below(3));
  if (draw.one_in(3)) args.min_frequency = static_cast<std::int64_t>(draw.below(4));
  if (draw.one_in(3)) args.max_token_length = 1 + draw.below(8);
  if (byte_level) return args;
  args.byte_fallback = draw.one_in(4);
  if (args.byte_fallback) args.vocab_size += 256;
  if (draw.one_in(4)) args.continuing_subword_prefix = "##";
  if (draw.one_in(4)) args.end_of_word_suffix = "</w>";
  if (draw.one_in(4)) args.initial_alphabet = {"z", "\xE6\x97\xA5", "a"};
  if (draw.one_in(4)) args.limit_alphabet = 1 + draw.below(8);
  if (draw.one_in(4)) args.character_coverage = 0.5 + static_cast<double>(draw.below(50)) * 0.01;
  return args;
}

TokenizerSpec bpe_spec(TrainedBpe trained, const BpeTrainerArgs& args, const PieceCutter& cutter) {
  TokenizerSpec spec;
  spec.normalizer = cutter.normalizer();
  spec.pre_tokenizer = cutter.pre_tokenizer();
  spec.spelling = args.byte_level ? Spelling::kByteChars : Spelling::kText;
  spec.bpe.byte_fallback = args.byte_fallback;
  spec.bpe.continuing_subword_prefix = args.continuing_subword_prefix;
  spec.bpe.end_of_word_suffix = args.end_of_word_suffix;
  spec.tokens = std::move(trained.tokens);
  spec.merges = std::move(trained.merges);
  add_specials(args.special_tokens, spec);
  return spec;
}

void run_bpe(Draw& draw, const std::vector<Text>& lines) {
  const bool byte_level = draw.one_in(2);
  const BpeTrainerArgs args = draw_bpe(draw, byte_level);
  const Cutting& cutting = byte_level ? draw.pick(kByteCuttings) : draw.pick(kCharCuttings);
  const auto counter = count(cutting, lines, draw);
  const auto train = [&](const WordTable& words, unsigned) {
    return bpe_spec(train_bpe(words, args, {}), args, counter->cutter());
  };
  check_training(train, args.vocab_size, *counter, lines);
  if (!draw.one_in(2)) return;
  BpeTrainerArgs more = args;
  more.vocab_size += draw.below(64);
  more.character_coverage = draw.one_in(2) ? 1.0 : 0.0;
  const auto extend = [&](const WordTable& words, unsigned threads) {
    return extend_bpe(train(words, threads), words, more, {});
  };
  check_training(extend, more.vocab_size, *counter, lines);
}

void run_sentencepiece_bpe(Draw& draw, const std::vector<Text>& lines) {
  BpeTrainerArgs args;
  args.byte_level = false;
  args.sentencepiece = true;
  args.byte_fallback = draw.one_in(4);
  args.vocab_size = (args.byte_fallback ? 256 : 0) + draw.below(96);
  args.special_tokens = draw.some(kSymbols);
  args.character_coverage = draw.one_in(2) ? 1.0 : 0.9;
  const PieceRules rules{.max_chars = 1 + draw.below(16),
                         .split_by_unicode_script = draw.one_in(2),
                         .split_by_number = draw.one_in(2),
                         .split_digits = draw.one_in(2)};
  const auto counter = count(kMarkCuttings[0], lines, draw);
  const auto train = [&](const WordTable& words, unsigned) {
    TokenizerSpec spec = train_sentencepiece_bpe(words, args, rules, {});
    spec.normalizer = counter->cutter().normalizer();
    return spec;
  };
  check_training(train, args.vocab_size, *counter, lines);
}

void run_wordpiece(Draw& draw, const std::vector<Text>& lines) {
  WordPieceTrainerArgs args;
  args.score = draw.one_in(2) ? WordPieceScore::kCount : WordPieceScore::kLikelihood;
  args.special_tokens = draw.some(kSymbols);
  if (!std::ranges::count(args.special_tokens, "[UNK]")) args.special_tokens.emplace_back("[UNK]");
  args.vocab_size = args.special_tokens.size() + draw.below(96);
  if (draw.one_in(3)) args.min_frequency = static_cast<std::int64_t>(draw.below(4));
  if (draw.one_in(4)) args.continuing_subword_prefix = "";
  if (draw.one_in(4)) args.limit_alphabet = 1 + draw.below(8);
  if (draw.one_in(4)) args.initial_alphabet = {'z', 0x65E5, 'a'};
  if (draw.one_in(3)) args.max_token_length = 1 + draw.below(8);
  if (draw.one_in(4)) args.continuing_order = {'b', 0x301, 'a', 'b'};
  const auto counter = count(draw.pick(kCharCuttings), lines, draw);
  const auto train = [&](const WordTable& words, unsigned) {
    TokenizerSpec spec;
    spec.kind = ModelKind::kWordPiece;
    spec.tokens = train_wordpiece(words, args, {});
    spec.wordpiece.continuing_subword_prefix = args.continuing_subword_prefix;
    spec.normalizer = counter->cutter().normalizer();
    spec.pre_tokenizer = counter->cutter().pre_tokenizer();
    add_specials(args.special_tokens, spec);
    return spec;
  };
  check_training(train, args.vocab_size, *counter, lines);
}

void run_unigram(Draw& draw, const std::vector<Text>& lines) {
  UnigramTrainerArgs args;
  args.hard_vocab_limit = draw.one_in(3);
  args.byte_fallback = draw.one_in(6);
  args.vocab_size = (args.byte_fallback ? 256 : 0) + 3 + draw.below(64);
  args.character_coverage = draw.one_in(2) ? 1.0f : 0.98f;
  if (draw.one_in(4)) args.required_chars = "z\xE6\x97\xA5";
  args.seed_sentencepiece_size = draw.one_in(3) ? 1 + draw.below(64) : 1000;
  args.shrinking_factor = 0.5f + static_cast<float>(draw.below(45)) * 0.01f;
  args.num_sub_iterations = 1 + static_cast<unsigned>(draw.below(2));
  args.max_sentencepiece_length = 1 + draw.below(16);
  args.split_by_unicode_script = draw.one_in(2);
  args.split_by_number = draw.one_in(2);
  args.split_digits = draw.one_in(2);
  args.split_by_whitespace = !draw.one_in(3);
  args.treat_whitespace_as_suffix = draw.one_in(4);
  args.allow_whitespace_only_pieces = draw.one_in(3);
  args.control_symbols = draw.some({"<s>", "<c>", "ab"});
  args.user_defined_symbols = draw.some({"<u>", "</s>", "a", "\xE2\x96\x81", "b\xE2\x96\x81"});
  if (draw.one_in(4)) args.pad_id = static_cast<std::int32_t>(draw.below(8));
  if (draw.one_in(4)) args.bos_id = -1;
  const auto counter = count(draw.pick(kMarkCuttings), lines, draw);
  const auto train = [&](const WordTable& words, unsigned num_threads) {
    UnigramTrainerArgs own = args;
    own.num_threads = num_threads;
    return train_unigram(words, own, {});
  };
  check_training(train, args.vocab_size, *counter, lines);
}

template <void (*kRun)(Draw&, const std::vector<Text>&)>
void run_train(std::string_view input) {
  if (input.size() < kHead) return;
  Draw draw(input.substr(0, kHead));
  kRun(draw, lines_of(input.substr(kHead)));
}

// Damaged files behind a checksum that fits; what is read can be written and read again.
void run_count_file(std::string_view input) {
  const std::string sealed = std::string(input) + sha256_hex(as_text(input));
  WordCounter counter = read_counts(as_text(sealed), "counts", 2);
  const std::string file = write_counts(counter);
  WordCounter again = read_counts(as_text(file), "counts", 1);
  require(write_counts(again) == file, "a count file changes when it is read");
}

std::vector<std::string> train_seeds() {
  const std::string text =
      "the cat sat on the mat, the cat \xE6\x97\xA5\xE6\x9C\xAC 123 12 1\na\xCC\x81 abab aaaa "
      "aaaaaaaa "
      "abab\n\xE2\x96\x81 the\xE2\x96\x81\n\tThe DON'T don't \xF0\x9F\x98\x80\xFF\xC3 \n\n x";
  std::vector<std::string> seeds;
  for (unsigned i = 0; i < 24; ++i) {
    std::string seed(kHead, static_cast<char>(i));
    seed[0] = static_cast<char>(i * 53);
    seeds.push_back(seed + text);
  }
  return seeds;
}

std::vector<std::string> count_file_seeds() {
  WordCounter counter(1);
  constexpr std::size_t kDigits = 64;  // of the checksum
  const auto unsealed = [&] {
    std::string file = write_counts(counter);
    file.resize(file.size() - kDigits);
    return file;
  };
  std::vector<std::string> seeds = {unsealed()};
  const std::string text = "the cat sat on the mat a-long-word-of-more-than-fifteen-bytes";
  counter.count({as_text(text)}, {});
  counter.add("big", std::int64_t{1} << 62);
  seeds.push_back(unsealed());
  return seeds;
}

const std::vector<std::string> kWords = {"a",
                                         "b",
                                         "ab",
                                         "aa",
                                         "the",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\t",
                                         "\xE2\x96\x81",
                                         "\xE6\x97\xA5",
                                         "\xC3\xA9",
                                         "\xCC\x81",
                                         "\xFF",
                                         "\xC3",
                                         "\xF0\x9F\x98\x80",
                                         "1",
                                         "12",
                                         "'s",
                                         ".",
                                         "<s>",
                                         "<0x61>",
                                         "##a",
                                         "</w>",
                                         "[UNK]",
                                         std::string(1, '\0'),
                                         "z",
                                         "<u>"};

}  // namespace

std::vector<Target> train_targets() {
  const Bounds bounds = {.steps = 400'000'000, .steps_per_byte = 200'000};
  return {{"train_bpe", run_train<run_bpe>, train_seeds, kWords, 1024, bounds},
          {"train_sp_bpe", run_train<run_sentencepiece_bpe>, train_seeds, kWords, 1024, bounds},
          {"train_wordpiece", run_train<run_wordpiece>, train_seeds, kWords, 1024, bounds},
          {"train_unigram", run_train<run_unigram>, train_seeds, kWords, 1024, bounds},
          {"count_file", run_count_file, count_file_seeds, {"LLMCWC01"}, 2048, {}}};
}

}  // namespace llmcore::fuzz
