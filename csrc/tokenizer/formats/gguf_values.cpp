#include "tokenizer/formats/gguf_values.h"

#include <bit>

#include "tokenizer/errors.h"
#include "tokenizer/formats/spec_building.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {
namespace {

constexpr int kMaxListDepth = 4;
constexpr std::size_t kLeastKeyValue = 8 + 4 + 1;

// Of one value; 0 for strings and lists.
std::size_t size_of(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      break;
  }
  return 0;
}

std::uint64_t load(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  }
  return value;
}

class Reader {
 public:
  Reader(std::string_view rest, const std::string& name) : rest_(rest), name_(name) {}

  std::map<std::string_view, GgufValue> read(std::string_view prefix) {
    if (take(4) != "GGUF") fail("no GGUF");
    const std::uint64_t version = take_number(4);
    if (version != 2 && version != 3) {
      fail_data(name_ + ": GGUF version", "2 or 3, little endian", std::to_string(version));
    }
    take_number(8);
    const std::uint64_t count = take_number(8);
    if (count > rest_.size() / kLeastKeyValue) fail("more keys than there are bytes");
    std::map<std::string_view, GgufValue> values;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string_view key = take_text();
      const bool is_wanted = key.starts_with(prefix);
      GgufValue value = read_value(is_wanted);
      if (is_wanted && !values.emplace(key, std::move(value)).second) {
        fail_data(name_ + ": GGUF key", "given once", quoted(key) + " twice");
      }
    }
    return values;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    fail_data(name_, "a whole GGUF file", what);
  }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail("the end of the file in its metadata");
    const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return bytes;
  }
  std::uint64_t take_number(std::size_t size) { return load(take(size)); }
  std::string_view take_text() {
    const std::uint64_t size = take_number(8);
    return take(size);
  }
  GgufType take_type() {
    const std::uint64_t type = take_number(4);
    if (type > static_cast<std::uint64_t>(GgufType::kFloat64)) {
      fail("a value of type " + std::to_string(type));
    }
    return static_cast<GgufType>(type);
  }

  GgufValue read_value(bool keeps) {
    GgufValue value;
    value.type = take_type();
    if (value.type == GgufType::kArray) return read_list(keeps, 0);
    if (value.type == GgufType::kString) {
      value.texts.push_back(take_text());
    } else {
      value.bytes = take(size_of(value.type));
    }
    return value;
  }

  GgufValue read_list(bool keeps, int depth) {
    GgufValue value;
    value.is_list = true;
    value.type = take_type();
    value.count = take_number(8);
    const std::size_t size = size_of(value.type);
    const std::size_t least = size > 0 ? size : value.type == GgufType::kString ? 8 : 12;
    if (value.count > rest_.size() / least) fail("a list longer than the file");
    if (size > 0) {
      value.bytes = take(value.count * size);
      return value;
    }
    if (value.type == GgufType::kArray) {
      if (depth == kMaxListDepth) fail("lists within lists");
      for (std::uint64_t i = 0; i < value.count; ++i) read_list(false, depth + 1);
      return value;
    }
    if (keeps) value.texts.reserve(static_cast<std::size_t>(value.count));
    for (std::uint64_t i = 0; i < value.count; ++i) {
      const std::string_view text = take_text();
      if (keeps) value.texts.push_back(text);
    }
    return value;
  }

  std::string_view rest_;
  const std::string& name_;
};

}  // namespace

bool GgufValue::is_integer() const {
  return type != GgufType::kFloat32 && type != GgufType::kFloat64 && size_of(type) > 0;
}

std::int64_t GgufValue::integer(std::size_t i) const {
  const std::size_t size = size_of(type);
  const std::uint64_t value = load(bytes.substr(i * size, size));
  switch (type) {
    case GgufType::kInt8:
      return static_cast<std::int8_t>(value);
    case GgufType::kInt16:
      return static_cast<std::int16_t>(value);
    case GgufType::kInt32:
      return static_cast<std::int32_t>(value);
    default:
      return static_cast<std::int64_t>(value);
  }
}

float GgufValue::float32(std::size_t i) const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(load(bytes.substr(i * 4, 4))));
}

std::map<std::string_view, GgufValue> read_gguf_values(FileBytes bytes, std::string_view prefix,
                                                       const std::string& name) {
  return Reader(view_of(bytes), name).read(prefix);
}

void GgufWriter::put(std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out_ += static_cast<char>(value >> 8 * i);
}

void GgufWriter::put_text(std::string_view text) {
  put(text.size(), 8);
  out_ += text;
}

void GgufWriter::start(std::string_view key, GgufType type) {
  put_text(key);
  put(static_cast<std::uint64_t>(type), 4);
  ++num_values_;
}

void GgufWriter::start_list(std::string_view key, GgufType type, std::size_t count) {
  start(key, GgufType::kArray);
  put(static_cast<std::uint64_t>(type), 4);
  put(count, 8);
}

void GgufWriter::add_text(std::string_view key, std::string_view text) {
  start(key, GgufType::kString);
  put_text(text);
}

void GgufWriter::add_uint32(std::string_view key, std::uint32_t value) {
  start(key, GgufType::kUint32);
  put(value, 4);
}

void GgufWriter::add_bool(std::string_view key, bool value) {
  start(key, GgufType::kBool);
  put(value ? 1 : 0, 1);
}

void GgufWriter::add_texts(std::string_view key, const std::vector<std::string>& texts) {
  start_list(key, GgufType::kString, texts.size());
  for (const std::string& text : texts) put_text(text);
}

void GgufWriter::add_floats(std::string_view key, const std::vector<float>& values) {
  start_list(key, GgufType::kFloat32, values.size());
  for (const float value : values) put(std::bit_cast<std::uint32_t>(value), 4);
}

void GgufWriter::add_int32s(std::string_view key, const std::vector<std::int32_t>& values) {
  start_list(key, GgufType::kInt32, values.size());
  for (const std::int32_t value : values) put(static_cast<std::uint32_t>(value), 4);
}

void GgufWriter::add_bytes(std::string_view key, std::string_view bytes) {
  start_list(key, GgufType::kUint8, bytes.size());
  out_ += bytes;
}

std::string GgufWriter::file() const {
  GgufWriter header;
  header.out_ = "GGUF";
  header.put(3, 4);
  header.put(0, 8);
  header.put(num_values_, 8);
  return header.out_ + out_;
}

}  // namespace llmcore::tokenizer
