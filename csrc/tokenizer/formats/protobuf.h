// The wire format of Protocol Buffers: fields one after the other, every length checked.
// Source: protobuf.dev/programming-guides/encoding.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace llmcore::tokenizer {

struct ProtoField {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;   // 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
  std::uint64_t value = 0;  // wire 0, 1 and 5
  std::string_view bytes;   // wire 2
  std::string_view whole;   // the field with its key

  float as_float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(value)); }
  std::int32_t as_int32() const { return static_cast<std::int32_t>(value); }
};

// Walks one message. `next` is false at its end and at a malformed field; `failed` tells which.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}
  bool failed() const { return failed_; }

  bool next(ProtoField& field) {
    const std::string_view start = rest_;
    std::uint64_t key = 0;
    if (failed_ || rest_.empty()) return false;
    if (!take_varint(key) || key >> 3 == 0 || key >> 3 > kMaxNumber) return fail();
    field = ProtoField{
        static_cast<std::uint32_t>(key >> 3), static_cast<std::uint32_t>(key & 7), 0, {}, {}};
    if (!take_value(field)) return fail();
    field.whole = start.substr(0, start.size() - rest_.size());
    return true;
  }

 private:
  static constexpr std::uint64_t kMaxNumber = (1u << 29) - 1;

  bool fail() {
    failed_ = true;
    return false;
  }

  bool take_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return false;
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool take_value(ProtoField& field) {
    switch (field.wire) {
      case 0:
        return take_varint(field.value);
      case 1:
      case 5: {
        const std::size_t size = field.wire == 1 ? 8 : 4;
        if (rest_.size() < size) return false;
        for (std::size_t i = size; i-- > 0;) {
          field.value = field.value << 8 | static_cast<std::uint8_t>(rest_[i]);
        }
        rest_.remove_prefix(size);
        return true;
      }
      case 2: {
        std::uint64_t size = 0;
        if (!take_varint(size) || size > rest_.size()) return false;
        field.bytes = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(static_cast<std::size_t>(size));
        return true;
      }
      default:
        return false;
    }
  }

  std::string_view rest_;
  bool failed_ = false;
};

class ProtoWriter {
 public:
  void add_varint(std::uint32_t number, std::uint64_t value) {
    put_varint(static_cast<std::uint64_t>(number) << 3);
    put_varint(value);
  }
  // Negative numbers take ten bytes, as int32 does.
  void add_int32(std::uint32_t number, std::int32_t value) {
    add_varint(number, static_cast<std::uint64_t>(static_cast<std::int64_t>(value)));
  }
  void add_float(std::uint32_t number, float value) {
    put_varint(static_cast<std::uint64_t>(number) << 3 | 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) out_ += static_cast<char>(bits >> shift);
  }
  void add_bytes(std::uint32_t number, std::string_view bytes) {
    put_varint(static_cast<std::uint64_t>(number) << 3 | 2);
    put_varint(bytes.size());
    out_ += bytes;
  }
  void add_whole(std::string_view field) { out_ += field; }
  const std::string& text() const { return out_; }

 private:
  void put_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }

  std::string out_;
};

}  // namespace llmcore::tokenizer
