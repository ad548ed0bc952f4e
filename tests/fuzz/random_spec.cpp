#include "random_spec.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "mutator.h"
#include "tokenizer/formats/formats.h"
#include "tokenizer/formats/json.h"
#include "tokenizer/formats/piece_type.h"
#include "tokenizer/formats/protobuf.h"
#include "tokenizer/text/aligned_text.h"
#include "tokenizer/train/unigram_charsmap.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;

// What tokens are made of; the first is most of them.
constexpr std::string_view kAtoms[] = {"\xE2\x96\x81",
                                       "a",
                                       "b",
                                       "c",
                                       "the",
                                       "A",
                                       ".",
                                       "x",
                                       "1",
                                       "\t",
                                       "\n",
                                       "\xC3\xA9",
                                       "\xE6\x97\xA5",
                                       " ",
                                       "e",
                                       "\xCC\x81",
                                       "\xC2\xA0",
                                       "\xE2\x80\x8B",
                                       "\xEF\xBF\xBD",
                                       "ab",
                                       ",",
                                       "\xE3\x80\x80",
                                       "(",
                                       "#",
                                       "7",
                                       "ba",
                                       "(#"};

// Of tokens with near ties: many paths through few letters.
constexpr std::string_view kTieAtoms[] = {"a", "b", "ab", "ba"};

// Rules of which a charsmap takes some: what becomes a space, what vanishes, what reaches over one.
const std::pair<std::u32string, std::u32string> kRules[] = {{U"\u00A0", U" "},
                                                            {U"\u3000", U" "},
                                                            {U"\t", U" "},
                                                            {U"\n", U" "},
                                                            {U"\r", U""},
                                                            {U"\u200B", U""},
                                                            {U"\uFEFF", U" "},
                                                            {U"e\u0301", U"\u00E9"},
                                                            {U"\u00E9", U"e"},
                                                            {U"a", U"b"},
                                                            {U" \u0301", U"x"},
                                                            {U"\u65E5", U"a b"},
                                                            {U"\u0301", U""},
                                                            {U".", U" "},
                                                            {U"\u2581", U" "},
                                                            {U"\u2581", U"_"},
                                                            {U"\u65E5", U"  a"},
                                                            {U"\u0301", U" "},
                                                            {U"\u65E5 ", U"b"},
                                                            {U"\u65E5a", U" a"},
                                                            {U"\u00E9", U" \u0301"},
                                                            {U"  ", U" "},
                                                            {U"\u200B", U"\u2581"}};

// The first eight bytes of an input: what is drawn by name, and a seed for the rest.
class Draw {
 public:
  explicit Draw(std::string_view head) : random_(0) {
    std::uint64_t seed = 0;
    for (std::size_t i = 0; i < kSpecHead; ++i) {
      bytes_[i] = static_cast<std::uint8_t>(head[i]);
      if (i >= 4) seed = seed << 8 | bytes_[i];
    }
    random_ = Random(seed);
  }
  unsigned byte(std::size_t i) const { return bytes_[i]; }
  bool flag(unsigned i) const { return (bytes_[1 + i / 8] >> (i % 8) & 1) != 0; }
  bool has_near_ties() const { return byte(3) % 6 == 3; }
  std::size_t below(std::size_t bound) { return random_.below(bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <typename List>
  decltype(auto) pick(const List& list) {
    return list[below(std::size(list))];
  }

 private:
  std::uint8_t bytes_[kSpecHead] = {};
  Random random_;
};

std::string quote(std::string_view text) {
  return json_quote(text);
}

std::size_t num_chars(std::string_view text) {
  const auto goes_on = [](char c) { return (static_cast<std::uint8_t>(c) & 0xC0) == 0x80; };
  return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, goes_on));
}

std::string flag_text(bool on) {
  return on ? "true" : "false";
}

std::vector<std::string> draw_pieces(Draw& draw) {
  std::set<std::string> seen;
  std::vector<std::string> pieces;
  const auto add = [&](std::string piece) {
    if (seen.insert(piece).second) pieces.push_back(std::move(piece));
  };
  if (!draw.one_in(8)) add("\xE2\x96\x81");
  for (std::size_t i = 0, n = 4 + draw.below(32); i < n; ++i) {
    std::string piece;
    if (draw.has_near_ties() && draw.one_in(2) && !pieces.empty()) piece = kAtoms[0];
    for (std::size_t j = 0, size = 1 + draw.below(4); j < size; ++j) {
      piece += draw.has_near_ties() ? kTieAtoms[draw.below(std::size(kTieAtoms))]
               : draw.one_in(3)     ? kAtoms[0]
                                    : draw.pick(kAtoms);
    }
    add(std::move(piece));
  }
  return pieces;
}

// Scores of one kind: ranks, ties, near ties, large ones, positive ones.
float draw_score(Draw& draw, std::size_t rank, std::string_view piece) {
  static constexpr float kTies[] = {-1.0f, -1.5f, -2.0f, -3.0f, -1.1f, -2.2f};
  switch (draw.byte(3) % 6) {
    case 0:
      return -1.0f - static_cast<float>(rank);
    case 1:
      return draw.pick(kTies);
    case 2:
      return static_cast<float>(draw.below(1u << 20)) * -1e-5f;
    case 3:
      return static_cast<float>(num_chars(piece)) *
             (-1.1f - static_cast<float>(draw.below(4)) * 1e-4f);
    case 4:
      return -1000.0f - static_cast<float>(draw.below(100'000));
    default:
      return static_cast<float>(draw.below(1u << 12)) * 1e-2f - 30.0f;
  }
}

std::string draw_charsmap(Draw& draw) {
  CharsmapRules rules;
  for (std::size_t i = 0, n = draw.below(6); i < n; ++i) {
    const auto& [from, to] = draw.pick(kRules);
    rules[from] = to;
  }
  return compile_charsmap(rules);
}

// A SentencePiece file. `type`: 1 Unigram, 2 BPE.
std::string draw_model_file(Draw& draw, int type) {
  ProtoWriter file;
  const auto piece = [&](std::string_view text, float score, PieceType kind) {
    ProtoWriter one;
    one.add_bytes(1, text);
    one.add_float(2, score);
    if (kind != PieceType::kNormal) one.add_varint(3, static_cast<std::uint64_t>(kind));
    file.add_bytes(1, one.text());
  };
  const bool byte_fallback = draw.flag(0);
  piece("<unk>", 0, PieceType::kUnknown);
  piece("<s>", 0, PieceType::kControl);
  piece("</s>", 0, PieceType::kControl);
  if (byte_fallback) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; ++b) {
      piece({"<0x" + std::string{kHex[b >> 4], kHex[b & 15]} + ">"}, 0, PieceType::kByte);
    }
  }
  std::size_t rank = 0;
  for (const std::string& text : draw_pieces(draw)) {
    const PieceType kind = draw.flag(1) && draw.one_in(10) ? PieceType::kUserDefined
                           : draw.one_in(24)               ? PieceType::kUnused
                                                           : PieceType::kNormal;
    piece(text, draw_score(draw, rank++, text), kind);
  }
  ProtoWriter trainer, normalizer;
  trainer.add_int32(3, type);
  if (byte_fallback) trainer.add_varint(35, 1);
  if (draw.flag(2) && draw.flag(3)) trainer.add_varint(24, 1);  // white space behind words
  normalizer.add_bytes(1, "small");
  if (draw.flag(4)) normalizer.add_bytes(2, draw_charsmap(draw));
  if (draw.flag(5) && draw.flag(6)) normalizer.add_varint(3, 0);  // no space in front
  if (draw.flag(7)) normalizer.add_varint(4, 0);                  // extra white space stays
  file.add_bytes(2, trainer.text());
  file.add_bytes(3, normalizer.text());
  return file.text();
}

std::string draw_simple_normalizer(Draw& draw) {
  const auto replace = [](const char* from, const char* to) {
    return R"({"type":"Replace","pattern":{"String":)" + quote(from) + R"(},"content":)" +
           quote(to) + "}";
  };
  switch (draw.below(14)) {
    case 0:
      return R"({"type":"NFC"})";
    case 1:
      return R"({"type":"NFKC"})";
    case 2:
      return R"({"type":"NFD"})";
    case 3:
      return R"({"type":"NFKD"})";
    case 4:
      return R"({"type":"Lowercase"})";
    case 5:
      return R"({"type":"StripAccents"})";
    case 6:
      return R"({"type":"Nmt"})";
    case 7:
      return R"({"type":"Strip","strip_left":)" + flag_text(draw.one_in(2)) + R"(,"strip_right":)" +
             flag_text(draw.one_in(2)) + "}";
    case 8:
      return replace(" ", "\xE2\x96\x81");
    case 9:
      return R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})";
    case 10:
      return R"({"type":"Prepend","prepend":"▁"})";
    case 11: {
      static constexpr const char* kFrom[] = {"a",  "b ", " a", "\xCC\x81",
                                              "\t", "ab", "  ", "\xE6\x97\xA5"};
      static constexpr const char* kTo[] = {"", " ", "b", "\xE2\x96\x81", "a b", "\xCC\x81"};
      return replace(draw.pick(kFrom), draw.pick(kTo));
    }
    default: {
      std::string out = R"({"type":"BertNormalizer","clean_text":)" + flag_text(draw.one_in(2));
      out += R"(,"handle_chinese_chars":)" + flag_text(draw.one_in(2));
      out += R"(,"strip_accents":)" + (draw.one_in(2) ? "null" : flag_text(draw.one_in(2)));
      return out + R"(,"lowercase":)" + flag_text(draw.one_in(2)) + "}";
    }
  }
}

std::string sequence(const std::string& items) {
  return R"({"type":"Sequence","normalizers":[)" + items + "]}";
}

std::string draw_normalizer(Draw& draw) {
  switch (draw.byte(1) % 6) {
    case 0:
      return sequence(
          R"({"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"})");
    case 1:
      return R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})";
    case 2:
      return draw_simple_normalizer(draw);
    case 3: {
      std::string items = draw_simple_normalizer(draw);
      for (std::size_t i = 0, n = draw.below(3); i < n; ++i) {
        items += "," + draw_simple_normalizer(draw);
      }
      if (draw.one_in(2)) {
        items += R"(,{"type":"Replace","pattern":{"String":" "},"content":"▁"})";
      }
      return sequence(items);
    }
    case 4: {
      std::string out = R"({"type":"SentencePiece","add_dummy_prefix":)";
      out += flag_text(!draw.one_in(4)) + R"(,"remove_extra_whitespaces":)";
      out += flag_text(draw.one_in(2)) + R"(,"treat_whitespace_as_suffix":)";
      out += flag_text(draw.one_in(6)) + R"(,"user_defined_symbols":[)";
      static constexpr const char* kSymbols[] = {"a b", "\xE2\x96\x81", "ab", "b\xE2\x96\x81",
                                                 "\t",  "\xE6\x97\xA5", " ",  "\xCC\x81",
                                                 "a "};
      for (std::size_t i = 0, n = draw.below(3); i < n; ++i) {
        out += (i > 0 ? "," : "") + quote(draw.pick(kSymbols));
      }
      return out + "]}";
    }
    default:
      return "null";
  }
}

std::string draw_pre_tokenizer(Draw& draw) {
  static constexpr const char* kSchemes[] = {"always", "first", "never"};
  switch (draw.byte(2) % 8) {
    case 0:
      return R"({"type":"WhitespaceSplit"})";
    case 1:
      return R"({"type":"Whitespace"})";
    case 2:
      return R"({"type":"BertPreTokenizer"})";
    case 3:
      return R"({"type":"Metaspace","replacement":"▁","prepend_scheme":")" +
             std::string(draw.pick(kSchemes)) + R"(","split":)" + flag_text(draw.one_in(2)) + "}";
    case 4:
      return R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Punctuation","behavior":"Isolated"}]})";
    case 5:
      return R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]})";
    default:
      return "null";
  }
}

std::string draw_bpe(Draw& draw) {
  std::vector<std::string> tokens = {"<unk>"};
  std::set<std::string> seen;
  for (const std::string_view atom : kAtoms) {
    if (num_chars(atom) == 1 && (atom == "a" || !draw.one_in(4))) {
      tokens.emplace_back(atom);
      seen.emplace(atom);
    }
  }
  std::string merges;
  for (std::size_t i = 0, n = draw.below(24); i < n; ++i) {
    const std::string &left = tokens[1 + draw.below(tokens.size() - 1)],
                      &right = tokens[1 + draw.below(tokens.size() - 1)];
    std::string joined = left + right;
    if (joined.size() > 24) continue;
    merges += (merges.empty() ? "[" : ",[") + quote(left) + "," + quote(right) + "]";
    if (seen.insert(joined).second) tokens.push_back(std::move(joined));
  }
  const bool byte_fallback = draw.one_in(2);
  if (byte_fallback) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; ++b) {
      tokens.push_back("<0x" + std::string{kHex[b >> 4], kHex[b & 15]} + ">");
    }
  }
  std::string vocab;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    vocab += (id > 0 ? "," : "") + quote(tokens[id]) + ":" + std::to_string(id);
  }
  static constexpr const char* kSuffixes[] = {"null", "null", "null", R"("</w>")"};
  std::string out = R"({"type":"BPE","dropout":null,"unk_token":)";
  out += draw.one_in(4) ? "null" : R"("<unk>")";
  out += R"(,"continuing_subword_prefix":null,"end_of_word_suffix":)";
  out += std::string(draw.pick(kSuffixes)) + R"(,"fuse_unk":)" + flag_text(draw.one_in(2));
  out += R"(,"byte_fallback":)" + flag_text(byte_fallback) + R"(,"ignore_merges":)";
  out += flag_text(draw.one_in(4)) + R"(,"vocab":{)" + vocab + R"(},"merges":[)" + merges + "]}";
  return out;
}

std::string draw_wordpiece(Draw& draw) {
  std::string vocab = R"("[UNK]":0)";
  std::size_t id = 0;
  for (const std::string& piece : draw_pieces(draw)) {
    const std::string token = (draw.one_in(2) ? "##" : "") + piece;
    vocab += "," + quote(token) + ":" + std::to_string(++id);
  }
  const std::size_t most = draw.one_in(3) ? 1 + draw.below(12) : 100;
  return R"({"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",)"
         R"("max_input_chars_per_word":)" +
         std::to_string(most) + R"(,"vocab":{)" + vocab + "}}";
}

std::string draw_unigram(Draw& draw) {
  std::string vocab = R"(["<unk>",0.0])";
  std::size_t rank = 0;
  for (const std::string& piece : draw_pieces(draw)) {
    vocab += ",[" + quote(piece) + "," +
             std::to_string(static_cast<double>(draw_score(draw, rank++, piece))) + "]";
  }
  return R"({"type":"Unigram","unk_id":)" + std::string(draw.one_in(8) ? "null" : "0") +
         R"(,"vocab":[)" + vocab + R"(],"byte_fallback":)" + flag_text(draw.one_in(4)) + "}";
}

// Found in the text as it is, or once it is normalised.
std::string draw_added(Draw& draw) {
  if (!draw.one_in(3)) return "[]";
  static constexpr const char* kContents[] = {"a", "ab", "<s>", " a", "\xE2\x96\x81", "the"};
  std::string out = R"([{"id":400,"content":)" + quote(draw.pick(kContents));
  for (const char* name : {"single_word", "lstrip", "rstrip", "normalized", "special"}) {
    out += std::string(",\"") + name + "\":" + flag_text(draw.one_in(2));
  }
  return out + "}]";
}

std::string draw_json_file(Draw& draw, unsigned family) {
  std::string out = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)";
  out += draw_added(draw) + R"(,"normalizer":)" + draw_normalizer(draw);
  out += R"(,"pre_tokenizer":)" + draw_pre_tokenizer(draw);
  out += R"(,"post_processor":null,"decoder":null,"model":)";
  out += family == 0 ? draw_bpe(draw) : family == 1 ? draw_wordpiece(draw) : draw_unigram(draw);
  return out + "}";
}

}  // namespace

TokenizerSpec random_spec(std::string_view head) {
  Draw draw(head);
  const unsigned family = draw.byte(0) % 8;
  if (family < 4) {
    const std::string file = draw_model_file(draw, family % 2 == 0 ? 1 : 2);
    return read_tokenizer(as_text(file), "model", {});
  }
  const std::string file = draw_json_file(draw, (family - 4) % 3);
  return read_tokenizer(as_text(file), "json", {});
}

}  // namespace llmcore::fuzz
