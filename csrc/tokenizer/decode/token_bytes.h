// What each id adds to the decoded text, worked out once, so that decoding copies bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode/decode_steps.h"
#include "tokenizer/formats/json.h"

namespace llmcore::tokenizer {

// How a decoder can follow ids one by one: each token is rewritten by itself, then the pieces join.
struct DecodePlan {
  enum class Join : std::uint8_t {
    kText,           // as they are
    kBytes,          // as bytes, which need not be UTF-8
    kByteRuns,       // runs of byte tokens: all of a run is UTF-8, or each byte is U+FFFD
    kSentencePiece,  // as SentencePieceStep
    kWhole           // by the whole decoder, at the end: no other way is known
  };
  Join join = Join::kText;
  std::vector<const DecodeStep*> rewrites;
  const StripStep* strip = nullptr;  // of the joined text
  const SentencePieceStep* sentencepiece = nullptr;
  bool by_first = false, by_last = false, drops_repeats = false;
};

DecodePlan plan_of(const DecoderChain& chain);

class TokenBytes {
 public:
  // `tokens` by id as the vocabulary spells them, added ones too; "" where an id has none, which
  // decoding then passes over. `is_special`: what can be left out; may be shorter.
  TokenBytes(std::span<const std::string_view> tokens, const std::vector<bool>& is_special,
             const Json& decoder, const std::string& where);

  std::size_t size() const { return entries_.size(); }
  const DecodePlan& plan() const { return plan_; }
  // Bytes of the text of `ids`: not always UTF-8 where the tokens are bytes. Throws DataError.
  void decode_bytes(std::span<const std::uint32_t> ids, bool skip_special, std::string& out) const;
  // The same as UTF-8; what is ill-formed becomes U+FFFD, one for each maximal subpart.
  std::string decode(std::span<const std::uint32_t> ids, bool skip_special) const;

  // As the vocabulary spells it. Throws DataError.
  std::string_view token_text(std::uint32_t id) const;
  // What a token adds behind the first token and before the last; `id` is below size().
  std::string_view middle(std::uint32_t id) const {
    return {bytes_.data() + entries_[id].begin, entries_[id].size()};
  }

 private:
  friend class DecodeCursor;
  static constexpr std::uint32_t kSpecial = 1u << 31, kAbsent = 1u << 30, kByteToken = 1u << 29;
  static constexpr std::uint32_t kSizeMask = kByteToken - 1;

  struct Entry {
    std::uint32_t begin = 0, flags_size = 0;
    std::size_t size() const { return flags_size & kSizeMask; }
  };

  struct TokenReading {
    std::string piece, bytes;
    bool is_byte = false;
  };

  void check_id(std::uint32_t id) const;
  // Bytes of a token where it stands; a byte token is its one byte.
  void read_token(std::string_view text, Place place, TokenReading& reading) const;
  std::size_t copy_plain(std::span<const std::uint32_t> ids, std::uint32_t stop_flags,
                         std::string& out) const;

  std::unique_ptr<DecoderChain> chain_;
  DecodePlan plan_;
  std::vector<Entry> entries_;
  std::string bytes_;  // padded, so that a short token is copied as one block
  std::vector<std::uint32_t> text_begins_;
  std::string texts_;
};

}  // namespace llmcore::tokenizer
