// Tokenizers of every kind: damaged files, broken text, a million of one character, threads that
// share one, and a fork while another thread encodes.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "../fuzz/regex_reference.h"
#include "expect.h"
#include "small_tokenizers.h"
#include "tokenizer/decode/stream.h"
#include "tokenizer/errors.h"

namespace {

using namespace llmcore::tokenizer;
using namespace llmcore::test;

using Ids = std::vector<std::uint32_t>;

Ids encode(const Pipeline& pipeline, std::string_view text) {
  const Encoded encoded = pipeline.encode(as_text(text), allow_all(pipeline));
  return {encoded.ids.data(), encoded.ids.data() + encoded.ids.size()};
}

// Loops whose body can match nothing; what it says of a pattern that it refuses.
void test_regex() {
  for (const std::string_view pattern :
       {"(|a)*", "(|a)+", "(|a)+b?", "(a?)*b", "(a{0,1}?)*", "(a{0,1}?b)*", "(|a|b)*", "(a*?)*b",
        "(a|b{0,1}?)*", "((|a)(|b))*", "(?:|a){2,}", "((a*)*|b)*c?", "(|(a|b{0,1}?)*)+"}) {
    for (const std::string_view text : {"aab", "aaabba", "abcab"}) {
      const RegexNode tree = parse_regex(pattern, RegexFlavor::kOniguruma, "pattern");
      std::vector<Match> matches;
      Regex(pattern, RegexFlavor::kOniguruma, "pattern").find_all(as_text(text), matches);
      EXPECT(llmcore::fuzz::RegexReference(tree, as_text(text)).find_all() == matches);
    }
  }
  for (const std::string_view pattern : {"(?\n)", "(?\xC3\xA9)", "\\p{\n}", "(?\xE6\x97\xA5:a)"}) {
    try {
      const Regex regex(pattern, RegexFlavor::kOniguruma, "pattern");
      EXPECT(false);
    } catch (const DataError& error) {
      const std::string_view message = error.what();
      EXPECT(message.find('\n') == std::string_view::npos);
      EXPECT(valid_utf8_length(message) == message.size());
    }
  }
}

// What every use must hold of any text.
void expect_sound(const SmallTokenizer& small, std::string_view text) {
  const Pipeline& pipeline = *small.pipeline;
  const Ids ids = encode(pipeline, text);
  bool are_below = true;
  for (const std::uint32_t id : ids) are_below = are_below && id < pipeline.size();
  EXPECT(are_below);
  StreamDecoder stream(pipeline.token_bytes(), false);
  std::string joined, bytes;
  for (const std::uint32_t id : ids) stream.push(id, joined);
  stream.finish(joined);
  EXPECT(joined == pipeline.token_bytes()->decode(ids, false));
  if (!small.keeps_bytes) return;
  pipeline.token_bytes()->decode_bytes(ids, false, bytes);
  EXPECT(bytes == text);
}

bool reads_or_refuses(const SmallFile& file) {
  try {
    const Pipeline pipeline(read_small(file));
  } catch (const DataError&) {
  } catch (const ConfigError&) {
  }
  return true;  // anything else ends the program
}

void test_truncated_files() {
  for (const SmallFile& whole : small_files()) {
    const std::size_t step = whole.bytes.size() / 64 + 1;
    for (std::size_t size = 0; size < whole.bytes.size(); size += step) {
      SmallFile file = whole;
      // Of exact size, so that a read past the end is seen.
      file.bytes = std::string(whole.bytes.data(), size);
      file.bytes.shrink_to_fit();
      EXPECT(reads_or_refuses(file));
    }
    for (std::size_t size = 0; size < whole.beside.size(); size += whole.beside.size() / 16 + 1) {
      SmallFile file = whole;
      file.beside.resize(size);
      EXPECT(reads_or_refuses(file));
    }
  }
}

void test_broken_text(const std::vector<SmallTokenizer>& tokenizers) {
  std::mt19937 random(0);
  const std::string_view parts[] = {
      "\xC3", "\xF0\x9F", "\xED\xA0\x80", "\xF5",   "\xC0\x80", "\xE2\x96",
      "a",    " ",        "ab",           "<|end|>"};
  for (int i = 0; i < 30; ++i) {
    std::string text;
    for (int j = 0; j < 20; ++j) {
      const std::size_t part = random() % (std::size(parts) + 3);
      text += part < std::size(parts) ? std::string(parts[part])
                                      : std::string(1, static_cast<char>(random()));
    }
    for (const SmallTokenizer& small : tokenizers) expect_sound(small, text);
  }
}

// Quadratic work on these would take hours; CTest's limit of time is the bound on it.
void test_repeats(const std::vector<SmallTokenizer>& tokenizers, std::size_t size) {
  for (const std::string_view unit : {"a", " ", "\xE6\x97\xA5", "\xFF"}) {
    std::string text;
    while (text.size() < (unit == "a" ? size : size / 8)) text += unit;
    for (const SmallTokenizer& small : tokenizers) {
      if (small.name.starts_with("gguf") || small.name.starts_with("own")) continue;
      const Ids ids = encode(*small.pipeline, text);
      EXPECT(ids.size() <= 3 * text.size() + 8);  // bytes of U+FFFD
      if (small.keeps_bytes) EXPECT(small.pipeline->count_steps(as_text(text)) <= 8 * text.size());
    }
  }
}

// Everything const at once, by four threads from one tokenizer that none has used yet.
void test_threads() {
  const std::string text = "aab ab  abc\nfoo the  th\xC3\xA9 unable 1234 don't [UNK] <sep>. \xFF";
  const std::vector<Text> texts(5, as_text(text));
  for (const SmallTokenizer& alone : small_tokenizers()) {
    const Ids expected = encode(*alone.pipeline, text);
    for (const SmallTokenizer& shared : small_tokenizers()) {
      if (shared.name != alone.name) continue;
      const Pipeline& pipeline = *shared.pipeline;
      const EncodeOptions options = allow_all(pipeline);
      std::atomic<int> num_wrong{0};
      const auto use = [&](std::uint64_t seed) {
        for (int i = 0; i < 3; ++i) {
          num_wrong += encode(pipeline, text) == expected ? 0 : 1;
          const BatchIds batch = pipeline.encode_batch(texts, options, 2, {});
          num_wrong += batch.ids.size() == texts.size() * expected.size() ? 0 : 1;
          if (pipeline.spec().kind != ModelKind::kWordPiece) {
            num_wrong += pipeline.sample(as_text(text), options, 0.5, seed).ids.size() > 0 ? 0 : 1;
          }
          num_wrong += pipeline.find("a") == alone.pipeline->find("a") ? 0 : 1;
          num_wrong += pipeline.find("no such token") ? 1 : 0;
        }
      };
      std::vector<std::thread> threads;
      for (std::uint64_t seed = 0; seed < 4; ++seed) threads.emplace_back(use, seed);
      for (std::thread& thread : threads) thread.join();
      EXPECT(num_wrong == 0);
    }
  }
}

// A child encodes and looks tokens up whatever its parent's other thread was doing.
void test_fork() {
  for (const SmallTokenizer& small : small_tokenizers()) {
    if (small.name != "tiktoken" && small.name != "model-unigram") continue;
    const Pipeline& pipeline = *small.pipeline;
    const Ids expected = encode(pipeline, "the aab ab");
    std::atomic<bool> is_over{false};
    std::thread other([&] {
      while (!is_over) {
        encode(pipeline, "the aab ab \n th 12");
        pipeline.find("a");
      }
    });
    for (int i = 0; i < 20; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        alarm(20);  // a lock that nobody gives back
        const bool is_right =
            encode(pipeline, "the aab ab") == expected && pipeline.find("a").has_value();
        _exit(is_right ? 0 : 1);
      }
      int status = -1;
      EXPECT(child > 0 && waitpid(child, &status, 0) == child);
      EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    is_over = true;
    other.join();
  }
}

}  // namespace

// With an argument: the size of the texts of one character.
int main(int argc, char** argv) {
  const std::vector<SmallTokenizer> tokenizers = small_tokenizers();
  test_fork();
  test_threads();
  test_regex();
  test_truncated_files();
  test_broken_text(tokenizers);
  test_repeats(tokenizers, argc > 1 ? std::stoul(argv[1]) : 1'000'000);
  return llmcore::test::num_failed;
}
