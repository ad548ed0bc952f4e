#include "tokenizer/decode/stream.h"

#include <algorithm>

namespace llmcore::tokenizer {

using Join = DecodePlan::Join;

DecodeCursor::DecodeCursor(const TokenBytes& table, bool skip_special)
    : table_(&table), skip_special_(skip_special) {
  const DecodePlan& plan = table.plan();
  const bool holds_end = plan.strip != nullptr && plan.strip->stop > 0;
  can_be_plain_ = plan.join != Join::kWhole && !plan.by_last && !plan.drops_repeats && !holds_end;
  if (plan.strip != nullptr) strip_left_ = plan.strip->start;
  if (plan.sentencepiece != nullptr) start_.emplace(*plan.sentencepiece);
  update_started();
}

void DecodeCursor::update_started() {
  if (is_started_) return;
  if (start_) {
    is_started_ = start_->is_over(has_text_);
  } else {
    is_started_ = strip_left_ == 0 && !(is_first_ && table_->plan().by_first);
  }
}

void DecodeCursor::push(std::uint32_t id, std::string& out) {
  table_->check_id(id);
  const std::uint32_t flags = table_->entries_[id].flags_size;
  if ((flags & TokenBytes::kAbsent) != 0 ||
      (skip_special_ && (flags & TokenBytes::kSpecial) != 0)) {
    return;
  }
  const DecodePlan& plan = table_->plan();
  if (plan.join == Join::kWhole) {
    pieces_.emplace_back(table_->token_text(id));
  } else if (start_) {
    push_sentencepiece(id, out);
  } else if (plan.by_last) {
    if (pending_) push_token(*pending_, false, out);
    pending_ = id;
  } else if (plan.drops_repeats) {
    const bool repeats = previous_ && table_->token_text(*previous_) == table_->token_text(id);
    previous_ = id;
    if (!repeats) push_token(id, false, out);
  } else {
    push_token(id, false, out);
  }
}

void DecodeCursor::push_token(std::uint32_t id, bool is_last, std::string& out) {
  const DecodePlan& plan = table_->plan();
  TokenBytes::TokenReading edge;
  std::string_view piece;
  bool is_byte = false;
  if ((is_first_ && plan.by_first) || is_last) {
    table_->read_token(table_->token_text(id), {is_first_, is_last}, edge);
    is_byte = edge.is_byte;
    piece = edge.bytes;
  } else {
    is_byte = (table_->entries_[id].flags_size & TokenBytes::kByteToken) != 0;
    piece = table_->middle(id);
  }
  is_first_ = false;
  if (is_byte) {
    push_byte(static_cast<std::uint8_t>(piece[0]), out);
  } else {
    end_byte_run(out);
    write(piece, out);
  }
  update_started();
}

void DecodeCursor::push_sentencepiece(std::uint32_t id, std::string& out) {
  const std::size_t size = out.size();
  if ((table_->entries_[id].flags_size & TokenBytes::kByteToken) != 0) {
    push_run_byte(run_, static_cast<std::uint8_t>(table_->middle(id)[0]), out);
  } else {
    end_run(run_, out);
    has_text_ = has_text_ || out.size() > size;
    if (!start_ || start_->is_over(has_text_)) {
      out += table_->middle(id);
    } else {
      out += start_->surface(table_->token_text(id));
    }
  }
  has_text_ = has_text_ || out.size() > size;
  update_started();
}

void DecodeCursor::push_byte(std::uint8_t byte, std::string& out) {
  if (run_is_bad_) {
    write(kReplacementText, out);
    return;
  }
  run_ += static_cast<char>(byte);
  const Utf8Head head = utf8_head(std::string_view(run_).substr(run_valid_));
  if (head.is_whole) run_valid_ = run_.size();
  if (head.is_whole || head.is_cut) return;
  for (std::size_t i = 0; i < run_.size(); ++i) write(kReplacementText, out);
  run_.clear();
  run_valid_ = 0;
  run_is_bad_ = true;
}

void DecodeCursor::end_byte_run(std::string& out) {
  if (run_valid_ == run_.size()) {
    write(run_, out);
  } else {
    for (std::size_t i = 0; i < run_.size(); ++i) write(kReplacementText, out);
  }
  run_.clear();
  run_valid_ = 0;
  run_is_bad_ = false;
}

// Strips on the way: at most strip_left_ characters in front, and at the end as many as the step
// asks for, which are held back until other text follows.
void DecodeCursor::write(std::string_view text, std::string& out) {
  const StripStep* strip = table_->plan().strip;
  if (strip == nullptr) {
    out += text;
    return;
  }
  const std::string_view content = strip->content;
  for (; strip_left_ > 0 && text.starts_with(content); --strip_left_) {
    text.remove_prefix(content.size());
  }
  if (text.empty()) return;
  strip_left_ = 0;
  std::string_view body = text;
  std::uint64_t tail = 0;
  while (tail < strip->stop && body.ends_with(content)) {
    body.remove_suffix(content.size());
    ++tail;
  }
  // Only content: what is held grows, and what is too much of it is certain.
  const std::uint64_t total = held_ + tail;
  const std::uint64_t certain = body.empty() ? total - std::min(total, strip->stop) : held_;
  for (std::uint64_t i = 0; i < certain; ++i) out += content;
  out += body;
  held_ = total - certain;
}

void DecodeCursor::finish(std::string& out) {
  if (table_->plan().join == Join::kWhole) {
    table_->chain_->decode(pieces_);
    for (const std::string& piece : pieces_) out += piece;
    pieces_.clear();
    return;
  }
  if (pending_) push_token(*pending_, true, out);
  pending_.reset();
  start_ ? end_run(run_, out) : end_byte_run(out);
}

}  // namespace llmcore::tokenizer
