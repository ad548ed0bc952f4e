#include "tokenizer/train/count_file.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "tokenizer/errors.h"
#include "tokenizer/formats/sha256.h"
#include "tokenizer/train/piece_cutter.h"

namespace llmcore::tokenizer {
namespace {

constexpr std::string_view kMagic = "LLMCWC01";
constexpr std::size_t kDigestBytes = 64;  // hexadecimal

void put_u64(std::string& out, std::uint64_t value) {
  for (unsigned shift = 0; shift < 64; shift += 8) out += static_cast<char>(value >> shift & 0xFF);
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  [[noreturn]] void fail(const std::string& got) const {
    throw DataError("counts: " + name_ + " must be a file of word counts, got " + got);
  }
  bool is_empty() const { return bytes_.empty(); }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) fail("too few bytes");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::uint64_t take_u64() {
    std::uint64_t value = 0;
    const std::string_view taken = take(8);
    for (unsigned i = 0; i < 8; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(taken[i])) << (8 * i);
    }
    return value;
  }
  // Below 2^63.
  std::uint64_t take_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail("a number beyond 2^63");
  }

 private:
  std::string_view bytes_;
  const std::string& name_;
};

}  // namespace

std::string write_counts(WordCounter& counter) {
  struct Word {
    std::string_view bytes;
    std::int64_t count;
  };
  std::vector<Word> words;
  const WordTable& table = counter.merged();
  words.reserve(table.size());
  table.for_each([&](std::string_view bytes, std::int64_t n) { words.push_back({bytes, n}); });
  std::sort(words.begin(), words.end(),
            [](const Word& a, const Word& b) { return a.bytes < b.bytes; });
  std::string out(kMagic);
  put_u64(out, words.size());
  for (const std::string& text :
       {counter.cutter().normalizer(), counter.cutter().pre_tokenizer()}) {
    put_u64(out, text.size());
    out += text;
  }
  for (const Word& word : words) {
    put_varint(out, word.bytes.size());
    out += word.bytes;
    put_varint(out, static_cast<std::uint64_t>(word.count));
  }
  return out += sha256_hex({reinterpret_cast<const std::uint8_t*>(out.data()), out.size()});
}

WordCounter read_counts(std::span<const std::uint8_t> bytes, const std::string& name,
                        unsigned num_threads) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Reader reader(all.substr(0, all.size() - std::min(all.size(), kDigestBytes)), name);
  if (!all.starts_with(kMagic)) reader.fail("another beginning");
  if (all.size() < kMagic.size() + kDigestBytes) reader.fail("too few bytes");
  if (all.substr(all.size() - kDigestBytes) !=
      sha256_hex(bytes.first(bytes.size() - kDigestBytes))) {
    reader.fail("a checksum that does not fit");
  }
  reader.take(kMagic.size());
  const std::uint64_t num_words = reader.take_u64();
  std::string normalizer(reader.take(reader.take_u64()));
  std::string pre_tokenizer(reader.take(reader.take_u64()));
  WordCounter counter(num_threads, std::make_shared<const PieceCutter>(std::move(normalizer),
                                                                       std::move(pre_tokenizer)));
  std::string_view last;
  for (std::uint64_t i = 0; i < num_words; ++i) {
    const std::string_view word = reader.take(reader.take_varint());
    const std::uint64_t count = reader.take_varint();
    if (word.empty() || count == 0) reader.fail("an empty word");
    if (i > 0 && word <= last) reader.fail("words out of order");
    counter.add(word, static_cast<std::int64_t>(count));
    last = word;
  }
  if (!reader.is_empty()) reader.fail("bytes behind the last word");
  return counter;
}

}  // namespace llmcore::tokenizer
