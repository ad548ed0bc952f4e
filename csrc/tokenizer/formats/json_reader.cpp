#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <memory>

#include "tokenizer/errors.h"
#include "tokenizer/formats/json.h"
#include "tokenizer/formats/text_index.h"
#include "tokenizer/text/utf8.h"

namespace llmcore::tokenizer {

namespace {

constexpr int kMaxDepth = 256;
constexpr std::size_t kFewMembers = 16;
constexpr std::size_t kBlock = 4096;
// Children that may wait without their stack moving: address space, not memory, of the text's size
// and 48 MB at most.
constexpr std::size_t kMostReserved = std::size_t{1} << 20;
constexpr std::uint64_t kHighBits = 0x8080808080808080ull;

struct MemberName {
  const JsonMember* members;
  std::string_view operator()(std::uint32_t i) const { return members[i].name; }
};

// Which of the eight bytes of `word`, the first lowest, end a run of plain characters: quotes,
// backslashes and control characters. Exact up to the first one, which is all that is asked.
std::uint64_t special_bytes(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ull;
  const std::uint64_t quote = word ^ kOnes * '"', backslash = word ^ kOnes * '\\';
  const std::uint64_t found = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) |
                              ((word - kOnes * 0x20) & ~word);
  return found & kHighBits;
}

}  // namespace

// One pass over the text. The children of an open list or object wait on a stack until it closes.
class JsonReader {
 public:
  JsonReader(JsonDocument& document, std::string_view name)
      : document_(document), name_(name), text_(document.text_) {}

  void read() {
    if (text_.size() > UINT32_MAX) {
      throw DataError(std::string(name_) + ": must be below 4 GiB, got " +
                      std::to_string(text_.size()) + " bytes");
    }
    open_items_.reserve(std::min(text_.size() / sizeof(Json), kMostReserved));
    open_members_.reserve(std::min(text_.size() / sizeof(JsonMember), kMostReserved));
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    skip_space();
    document_.root_ = read_value(0);
    skip_space();
    if (at_ != text_.size()) fail("more text after the value");
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw DataError(std::string(name_) + ": must be JSON, got " + std::string(what) + " at byte " +
                    std::to_string(at_));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  void expect(char c) {
    if (peek() != c) fail(at_ < text_.size() ? "another character" : "the end of the text");
    ++at_;
  }

  Json read_value(int depth) {
    if (depth > kMaxDepth) fail("more than 256 levels");
    switch (peek()) {
      case '{':
        return read_object(depth);
      case '[':
        return read_array(depth);
      case '"':
        return string_value(read_string());
      case 't':
        return read_word("true", Json::Kind::kBool, 1);
      case 'f':
        return read_word("false", Json::Kind::kBool, 0);
      case 'n':
        return read_word("null", Json::Kind::kNull, 0);
      default:
        return read_number();
    }
  }

  Json read_word(std::string_view word, Json::Kind kind, std::int64_t value) {
    if (text_.substr(at_, word.size()) != word) fail("an unknown word");
    at_ += word.size();
    Json json;
    json.kind_ = kind;
    json.integer_ = value;
    return json;
  }

  static Json string_value(std::string_view chars) {
    Json json;
    json.kind_ = Json::Kind::kString;
    json.size_ = static_cast<std::uint32_t>(chars.size());
    json.chars_ = chars.data();
    return json;
  }

  std::size_t skip_digits() {
    const std::size_t from = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - from;
  }

  Json read_number() {
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    const bool zero = peek() == '0';
    const std::size_t whole = skip_digits();
    if (whole == 0 || (zero && whole > 1)) fail("no value");
    bool is_integer = true;
    if (peek() == '.') {
      is_integer = false;
      ++at_;
      if (skip_digits() == 0) fail("a number without digits");
    }
    if (peek() == 'e' || peek() == 'E') {
      is_integer = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (skip_digits() == 0) fail("a number without digits");
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    Json json;
    if (is_integer) {
      json.kind_ = Json::Kind::kInteger;
      if (std::from_chars(first, last, json.integer_).ec == std::errc{}) return json;
    }
    json.kind_ = Json::Kind::kNumber;
    json.number_ = 0;
    if (std::from_chars(first, last, json.number_).ec != std::errc{}) {
      fail("a number out of range");
    }
    return json;
  }

  std::uint32_t read_hex() {
    std::uint32_t value = 0;
    const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc{} || end != digits.data() + 4) fail("a broken \\u escape");
    at_ += 4;
    return value;
  }

  void read_escape(std::string& out) {
    ++at_;
    const char c = peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out += c;
        return;
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'n':
        out += '\n';
        return;
      case 'r':
        out += '\r';
        return;
      case 't':
        out += '\t';
        return;
      case 'u':
        break;
      default:
        --at_;
        fail("an unknown escape");
    }
    std::uint32_t code = read_hex();
    if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const std::uint32_t low = read_hex();
      if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) fail("half of a surrogate pair");
    append_utf8(out, code);
  }

  // Up to what ends a run of plain characters, or the last bytes of the text; what is returned has
  // a high bit of some byte set if a character beyond ASCII was passed, or may have been.
  std::uint64_t skip_plain() {
    const char* p = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    std::uint64_t word = 0, passed = 0;
    for (; end - p >= 8; p += 8) {
      std::memcpy(&word, p, 8);
      const std::uint64_t special = special_bytes(word);
      if (special != 0) {
        const auto bits = static_cast<unsigned>(std::countr_zero(special)) & ~7u;
        at_ = static_cast<std::size_t>(p - text_.data()) + bits / 8;
        return passed | (word & ((std::uint64_t{1} << bits) - 1));
      }
      passed |= word;
    }
    at_ = static_cast<std::size_t>(p - text_.data());
    return ~std::uint64_t{0};
  }

  // A view of the text itself where nothing is escaped.
  std::string_view read_string() {
    expect('"');
    const std::size_t begin = at_;
    std::string* out = nullptr;
    std::size_t copied = begin;
    std::uint64_t passed = 0;
    for (;;) {
      passed |= skip_plain();
      const char c = peek();
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) {
        fail(at_ < text_.size() ? "a control character in a string" : "a string without an end");
      }
      if (c != '\\') {
        ++at_;
        continue;
      }
      if (out == nullptr) out = &document_.unescaped_.emplace_back();
      out->append(text_, copied, at_ - copied);
      read_escape(*out);
      copied = at_;
    }
    const std::size_t end = at_;
    const std::string_view raw(text_.data() + begin, end - begin);
    if ((passed & kHighBits) != 0) {
      if (const std::size_t valid = valid_utf8_length(raw); valid != raw.size()) {
        at_ = begin + valid;
        fail("a byte that is not UTF-8");
      }
    }
    ++at_;
    if (out == nullptr) return raw;
    out->append(text_, copied, end - copied);
    return *out;
  }

  // Moves what lies on the stack from `first` on into a block that stays.
  template <typename T>
  static std::span<const T> keep(std::vector<T>& open, std::size_t first,
                                 std::vector<std::unique_ptr<T[]>>& blocks, T*& block,
                                 std::size_t& room) {
    const std::size_t size = open.size() - first;
    if (size > room) {
      room = std::max(size, kBlock);
      block = blocks.emplace_back(std::make_unique_for_overwrite<T[]>(room)).get();
    }
    std::copy(open.begin() + static_cast<std::ptrdiff_t>(first), open.end(), block);
    open.resize(first);
    const std::span<const T> kept(block, size);
    block += size;
    room -= size;
    return kept;
  }

  Json read_array(int depth) {
    ++at_;
    const std::size_t first = open_items_.size();
    skip_space();
    while (peek() != ']') {
      if (open_items_.size() > first) {
        expect(',');
        skip_space();
      }
      open_items_.push_back(read_value(depth + 1));
      skip_space();
    }
    ++at_;
    const std::span<const Json> kept =
        keep(open_items_, first, document_.arrays_, item_block_, item_room_);
    Json json;
    json.kind_ = Json::Kind::kArray;
    json.size_ = static_cast<std::uint32_t>(kept.size());
    json.items_ = kept.data();
    return json;
  }

  Json read_object(int depth) {
    ++at_;
    const std::size_t first = open_members_.size();
    skip_space();
    while (peek() != '}') {
      if (open_members_.size() > first) {
        expect(',');
        skip_space();
      }
      const std::string_view member = read_string();
      skip_space();
      expect(':');
      skip_space();
      const Json value = read_value(depth + 1);
      open_members_.push_back({member, value});
      skip_space();
    }
    ++at_;
    const std::span<const JsonMember> kept =
        keep(open_members_, first, document_.objects_, member_block_, member_room_);
    check_names(kept);
    Json json;
    json.kind_ = Json::Kind::kObject;
    json.size_ = static_cast<std::uint32_t>(kept.size());
    json.members_ = kept.data();
    return json;
  }

  void check_names(std::span<const JsonMember> members) const {
    const auto repeated = [&](std::string_view member) {
      fail("the name " + json_quote_start(member) + " twice in the object before");
    };
    if (members.size() <= kFewMembers) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (members[i].name == members[j].name) repeated(members[i].name);
        }
      }
      return;
    }
    TextIndex<MemberName> seen(members.size(), MemberName{members.data()});
    const std::uint32_t again = seen.insert_all(members.size());
    if (again != TextIndex<MemberName>::kAbsent) repeated(members[again].name);
    const auto is_empty = [](const JsonMember& member) { return member.name.empty(); };
    if (std::count_if(members.begin(), members.end(), is_empty) > 1) repeated("");
  }

  JsonDocument& document_;
  std::string_view name_, text_;
  std::size_t at_ = 0;
  std::vector<Json> open_items_;
  std::vector<JsonMember> open_members_;
  Json* item_block_ = nullptr;
  JsonMember* member_block_ = nullptr;
  std::size_t item_room_ = 0, member_room_ = 0;
};

JsonDocument::JsonDocument(std::string text, std::string_view name)
    : owned_(std::make_unique<const std::string>(std::move(text))), text_(*owned_) {
  JsonReader(*this, name).read();
}

JsonDocument::JsonDocument(Borrowed text, std::string_view name) : text_(text.text) {
  JsonReader(*this, name).read();
}

}  // namespace llmcore::tokenizer
