#include "tokenizer/decode/token_bytes.h"

#include <algorithm>
#include <cstring>

#include "tokenizer/decode/stream.h"
#include "tokenizer/decode/utf8_gate.h"
#include "tokenizer/errors.h"
#include "tokenizer/models/byte_alphabet.h"

namespace llmcore::tokenizer {

namespace {

constexpr std::size_t kBlockIds = 512, kShortToken = 16;

bool rewrites_each(StepRole role) {
  return role == StepRole::kEach || role == StepRole::kEachByFirst ||
         role == StepRole::kEachByLast || role == StepRole::kStrip;
}

}  // namespace

DecodePlan plan_of(const DecoderChain& chain) {
  DecodePlan whole, plan;
  whole.join = DecodePlan::Join::kWhole;
  const auto& steps = chain.steps();
  const auto role = [&](std::size_t i) { return steps[i]->role(); };
  if (steps.size() == 1 && role(0) == StepRole::kSentencePiece) {
    plan.join = DecodePlan::Join::kSentencePiece;
    plan.sentencepiece = static_cast<const SentencePieceStep*>(steps[0].get());
    return plan;
  }
  if (steps.size() == 1 && role(0) == StepRole::kRepeats) {
    plan.rewrites.push_back(steps[0].get());
    plan.drops_repeats = true;
    return plan;
  }
  std::size_t i = 0;
  for (; i < steps.size() && rewrites_each(role(i)); ++i) {
    plan.rewrites.push_back(steps[i].get());
    plan.by_first |= role(i) == StepRole::kEachByFirst;
    plan.by_last |= role(i) == StepRole::kEachByLast;
  }
  if (i < steps.size() && role(i) == StepRole::kBytes) {
    plan.join = DecodePlan::Join::kBytes;
    ++i;
  } else if (i < steps.size() && role(i) == StepRole::kByteRuns) {
    plan.join = DecodePlan::Join::kByteRuns;
    ++i;
  }
  bool is_fused = false;
  for (; i < steps.size() && role(i) == StepRole::kFuse; ++i) is_fused = true;
  if (i < steps.size() && is_fused && role(i) == StepRole::kStrip &&
      plan.join != DecodePlan::Join::kBytes) {
    plan.strip = static_cast<const StripStep*>(steps[i++].get());
  }
  while (i < steps.size() && role(i) == StepRole::kFuse) ++i;
  return i == steps.size() ? plan : whole;
}

TokenBytes::TokenBytes(std::span<const std::string_view> tokens,
                       const std::vector<bool>& is_special, const Json& decoder,
                       const std::string& where)
    : chain_(make_decoder_chain(decoder, where)), plan_(plan_of(*chain_)) {
  entries_.reserve(tokens.size());
  text_begins_.reserve(tokens.size() + 1);
  std::size_t total = 0;
  for (const std::string_view token : tokens) total += token.size();
  texts_.reserve(total);
  bytes_.reserve(total + kShortToken);
  TokenReading reading;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    std::uint32_t flags = token.empty() ? kAbsent : 0;
    if (id < is_special.size() && is_special[id]) flags |= kSpecial;
    read_token(token, {}, reading);
    if (reading.is_byte) flags |= kByteToken;
    const std::string& bytes = reading.bytes;
    if (bytes.size() > kSizeMask || bytes_.size() > UINT32_MAX - bytes.size() - kShortToken ||
        texts_.size() > UINT32_MAX - token.size()) {
      throw DataError(where + ": must give all tokens less than 4 GiB of text, got more");
    }
    entries_.push_back({static_cast<std::uint32_t>(bytes_.size()),
                        flags | static_cast<std::uint32_t>(bytes.size())});
    bytes_ += bytes;
    text_begins_.push_back(static_cast<std::uint32_t>(texts_.size()));
    texts_ += token;
  }
  text_begins_.push_back(static_cast<std::uint32_t>(texts_.size()));
  bytes_.append(kShortToken, '\0');
}

void TokenBytes::read_token(std::string_view text, Place place, TokenReading& reading) const {
  reading.is_byte = false;
  reading.bytes.clear();
  if (text.empty()) return;
  if (plan_.join == DecodePlan::Join::kBytes && plan_.rewrites.empty()) {
    if (!text_to_bytes(text, reading.bytes)) reading.bytes = text;
    return;
  }
  std::uint8_t byte = 0;
  if (plan_.sentencepiece != nullptr) {
    const auto kind = plan_.sentencepiece->kind(text, byte);
    reading.is_byte = kind == SentencePieceStep::Kind::kByte;
    if (!reading.is_byte) reading.bytes = plan_.sentencepiece->surface(text);
  } else {
    reading.piece = text;
    for (const DecodeStep* step : plan_.rewrites) step->rewrite(reading.piece, place);
    if (plan_.join == DecodePlan::Join::kByteRuns) {
      const int value = byte_of_token(reading.piece);
      reading.is_byte = value >= 0;
      byte = static_cast<std::uint8_t>(value);
    }
    const bool is_bytes = plan_.join == DecodePlan::Join::kBytes;
    if (!is_bytes || !text_to_bytes(reading.piece, reading.bytes)) {
      reading.bytes.swap(reading.piece);
    }
  }
  if (reading.is_byte) reading.bytes.assign(1, static_cast<char>(byte));
}

void TokenBytes::check_id(std::uint32_t id) const {
  if (id < entries_.size()) return;
  throw DataError("decode: ids must be in [0, " + std::to_string(entries_.size()) + "), got " +
                  std::to_string(id));
}

std::string_view TokenBytes::token_text(std::uint32_t id) const {
  check_id(id);
  return std::string_view(texts_).substr(text_begins_[id], text_begins_[id + 1] - text_begins_[id]);
}

// Copies the bytes of the first ids up to one with a stop flag, a block at most; how many ids.
std::size_t TokenBytes::copy_plain(std::span<const std::uint32_t> ids, std::uint32_t stop_flags,
                                   std::string& out) const {
  const std::size_t most = std::min(ids.size(), kBlockIds);
  std::size_t count = 0, size = 0;
  for (; count < most; ++count) {
    check_id(ids[count]);
    const Entry entry = entries_[ids[count]];
    if ((entry.flags_size & stop_flags) != 0) break;
    size += entry.size();
  }
  const std::size_t begin = out.size();
  out.resize(begin + size + kShortToken);
  char* to = out.data() + begin;
  for (std::size_t i = 0; i < count; ++i) {
    const Entry entry = entries_[ids[i]];
    const char* from = bytes_.data() + entry.begin;
    std::memcpy(to, from, kShortToken);
    if (entry.size() > kShortToken) {
      std::memcpy(to + kShortToken, from + kShortToken, entry.size() - kShortToken);
    }
    to += entry.size();
  }
  out.resize(begin + size);
  return count;
}

void TokenBytes::decode_bytes(std::span<const std::uint32_t> ids, bool skip_special,
                              std::string& out) const {
  std::uint32_t stop_flags = kAbsent | kByteToken;
  if (skip_special) stop_flags |= kSpecial;
  DecodeCursor cursor(*this, skip_special);
  while (!ids.empty()) {
    const std::size_t copied = cursor.is_plain() ? copy_plain(ids, stop_flags, out) : 0;
    ids = ids.subspan(copied);
    if (copied > 0 || ids.empty()) continue;
    cursor.push(ids[0], out);
    ids = ids.subspan(1);
  }
  cursor.finish(out);
}

std::string TokenBytes::decode(std::span<const std::uint32_t> ids, bool skip_special) const {
  std::string bytes;
  decode_bytes(ids, skip_special, bytes);
  if (valid_utf8_length(bytes) == bytes.size()) return bytes;
  std::string text;
  Utf8Gate gate;
  gate.push(bytes, text);
  gate.finish(text);
  return text;
}

}  // namespace llmcore::tokenizer
