// Byte-level BPE: counting pre-tokens, training and encoding, against reading as many bytes.
//   bench_bpe [--file TEXT] [--threads 1,2]
// Without a file the text is made up: words of Zipf's frequencies from a fixed generator. A real
// text has more distinct words, so figures of the two do not compare.
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness.h"
#include "tokenizer/pipeline/pipeline.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/word_counter.h"

namespace {

using namespace llmcore::tokenizer;
using llmcore::bench::Bench;
using llmcore::bench::Case;
using llmcore::bench::Limit;

constexpr size_t kGeneratedBytes = 4 << 20;
constexpr size_t kVocabSizes[] = {4096, 16384};

uint64_t next(uint64_t& state) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

// 30,000 words of one to five syllables; the word of rank r comes about as 1 / r.
std::string generated_text() {
  uint64_t state = 88172645463325252u;
  std::vector<std::string> words(30000);
  for (std::string& word : words) {
    for (uint64_t syllables = 1 + next(state) % 5; syllables > 0; --syllables) {
      word += "bcdfghjklmnprstvwz"[next(state) % 18];
      word += "aeiouy"[next(state) % 6];
      if (next(state) % 3 == 0) word += "nrslt"[next(state) % 5];
    }
  }
  const double log_size = std::log(static_cast<double>(words.size()));
  std::string text;
  while (text.size() < kGeneratedBytes) {
    const double uniform = static_cast<double>(next(state) >> 11) * 0x1p-53;
    text += words[static_cast<size_t>(std::exp(uniform * log_size)) - 1];
    const uint64_t ending = next(state) % 16;
    text += ending == 0 ? ".\n" : ending == 1 ? ", " : ending == 2 ? " 1987 " : " ";
  }
  return text;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("--file must be a readable text, got " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Pipeline tokenizer_of(const TrainedBpe& trained) {
  TokenizerSpec spec;
  spec.tokens = trained.tokens;
  spec.merges = trained.merges;
  spec.spelling = Spelling::kByteChars;
  spec.pre_tokenizer = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
  return Pipeline(std::move(spec));
}

void bench_text(Bench& bench, const std::string& text, const std::string& shape) {
  const Text view(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  const unsigned num_threads = static_cast<unsigned>(llmcore::bench::num_threads());
  const auto case_of = [&](const std::string& pass, std::function<void()> run) {
    return Case{.op = "bpe",
                .pass = pass,
                .dtype = "utf-8",
                .shape = shape,
                .bytes = static_cast<double>(text.size()),
                .limit = Limit::kRead,
                .run = std::move(run)};
  };
  const auto count = [&] {
    auto counter = std::make_unique<WordCounter>(num_threads);
    counter->count({view}, {});
    counter->merged();
    return counter;
  };
  bench.measure({case_of("count", [&] { count(); })});
  for (const size_t vocab_size : kVocabSizes) {
    const std::string suffix = " " + std::to_string(vocab_size);
    if (!bench.wants("bpe train" + suffix) && !bench.wants("bpe encode" + suffix)) continue;
    BpeTrainerArgs args;
    args.vocab_size = vocab_size;
    const auto train = [&] { return train_bpe(count()->merged(), args, {}); };
    const Pipeline tokenizer = tokenizer_of(train());
    bench.measure({case_of("train" + suffix, [&] { train(); })});
    bench.measure(
        {case_of("encode" + suffix, [&] { tokenizer.encode_batch({view}, {}, num_threads, {}); })});
  }
}

}  // namespace

int main(int argc, char** argv) {
  return llmcore::bench::run(argc, argv, [](Bench& bench) {
    const std::string& path = bench.options().file;
    const std::string text = path.empty() ? generated_text() : read_text(path);
    const std::string name = path.empty() ? "generated" : path.substr(path.find_last_of('/') + 1);
    bench_text(bench, text, name + " " + std::to_string(text.size() / 1000) + " kB");
  });
}
