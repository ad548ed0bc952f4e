// Decoding as ids come: what is certain of the text after each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/decode/sentencepiece_start.h"
#include "tokenizer/decode/token_bytes.h"
#include "tokenizer/decode/utf8_gate.h"

namespace llmcore::tokenizer {

// Where decoding stands. Work per id does not depend on the ids before; a run of byte tokens waits
// for its end where the decoder judges it as a whole.
class DecodeCursor {
 public:
  // `table` must outlive the cursor.
  DecodeCursor(const TokenBytes& table, bool skip_special);

  // Appends the bytes that are certain after `id`. Throws DataError, and is then as before.
  void push(std::uint32_t id, std::string& out);
  // Appends the rest.
  void finish(std::string& out);
  // Nothing is held back: ids without a flag now add their bytes and change nothing.
  bool is_plain() const { return can_be_plain_ && is_started_ && run_.empty() && !run_is_bad_; }

 private:
  void push_token(std::uint32_t id, bool is_last, std::string& out);
  void push_sentencepiece(std::uint32_t id, std::string& out);
  void push_byte(std::uint8_t byte, std::string& out);
  void end_byte_run(std::string& out);
  void write(std::string_view text, std::string& out);
  void update_started();

  const TokenBytes* table_;
  bool skip_special_;
  bool can_be_plain_;
  bool is_started_ = false;  // tokens no longer read as the first one does
  bool is_first_ = true;
  std::optional<std::uint32_t> pending_, previous_;
  std::string run_;  // byte tokens that may still become text
  std::size_t run_valid_ = 0;
  bool run_is_bad_ = false;
  std::uint64_t strip_left_ = 0, held_ = 0;  // characters to strip in front; held back at the end
  std::optional<SentencePieceStart> start_;
  bool has_text_ = false;
  std::vector<std::string> pieces_;  // of a decoder that needs all of them
};

// Whole characters as ids come. All pushes and the finish laid end to end equal decode() of all
// ids.
class StreamDecoder {
 public:
  StreamDecoder(std::shared_ptr<const TokenBytes> table, bool skip_special)
      : table_(std::move(table)), skip_special_(skip_special), cursor_(*table_, skip_special) {}

  void push(std::uint32_t id, std::string& out) {
    bytes_.clear();
    cursor_.push(id, bytes_);
    gate_.push(bytes_, out);
  }
  // What is left, U+FFFD for an unfinished character; the decoder starts anew.
  void finish(std::string& out) {
    bytes_.clear();
    cursor_.finish(bytes_);
    gate_.push(bytes_, out);
    gate_.finish(out);
    cursor_ = DecodeCursor(*table_, skip_special_);
  }
  std::size_t num_ids() const { return table_->size(); }

 private:
  std::shared_ptr<const TokenBytes> table_;
  bool skip_special_;
  DecodeCursor cursor_;
  Utf8Gate gate_;
  std::string bytes_;
};

}  // namespace llmcore::tokenizer
