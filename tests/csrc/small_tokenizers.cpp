#include "small_tokenizers.h"

#include <array>

#include "tokenizer/formats/protobuf.h"

namespace llmcore::test {
namespace {

using namespace llmcore::tokenizer;

const char* const kByteLevelJson =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[
{"id":12,"content":"<|end|>","single_word":false,"lstrip":false,"rstrip":true,"normalized":false,"special":true},
{"id":13,"content":"foo","single_word":true,"lstrip":true,"rstrip":false,"normalized":true,"special":false}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]},
"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}"},"behavior":"Isolated","invert":false},
{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}]},
"post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":true,
"vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":4,"Ġ":5,"Ã":6,"©":7,"Ã©":8,"Ġa":9,"1":10,"11":11},
"merges":[["a","b"],["ab","c"],["Ã","©"],["Ġ","a"],["1","1"]]}})";

const char* const kCharBpeJson =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":
{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,
"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},
{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},
{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}},
"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
"model":{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,
"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
"vocab":{"<unk>":0,"<s>":1,"▁":2,"a":3,"b":4,"▁a":5,"ab":6,"<0x00>":7,"<0xE6>":8,"<0x97>":9,"<0xA5>":10,
"日":11,"▁▁":12},"merges":[["▁","a"],["a","b"],["▁","▁"]]}})";

const char* const kSuffixBpeJson =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":{"type":"NFKD"},
"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":{"type":"BPEDecoder","suffix":"</w>"},
"model":{"type":"BPE","dropout":null,"unk_token":"?","continuing_subword_prefix":null,
"end_of_word_suffix":"</w>","fuse_unk":false,"byte_fallback":false,"ignore_merges":false,
"vocab":{"?":0,"a":1,"b":2,"a</w>":3,"b</w>":4,"ab</w>":5,"aa":6},"merges":["a b</w>","a a"]}})";

const char* const kWordPieceJson =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[
{"id":1,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,
"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing",
"sep":["[SEP]",3],"cls":["[CLS]",2]},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
"max_input_chars_per_word":100,"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"un":4,"##able":5,"日":6,
"a":7,"##a":8,"##b":9,".":10}}})";

const char* const kUnigramJson =
    R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"StripAccents"},
{"type":"Strip","strip_left":true,"strip_right":true}]},"pre_tokenizer":{"type":"Metaspace",
"replacement":"▁","prepend_scheme":"always","split":true},"post_processor":null,
"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["▁",-2.5],["a",-3.25],["▁a",-1.1],["aa",-4.0],
["ab",-3.0],["b",-3.5],["日本",-6.0]],"byte_fallback":false}})";

// GPT-2's pattern and nothing before it: the encoder's fast path.
const char* const kGpt2VocabJson =
    R"({"a":0,"b":1,"ab":2,"Ġ":3,"Ġa":4,"Ċ":5,"ĠĠ":6,"é":7,"abab":8,"aa":9,"aaaa":10})";
const char* const kGpt2Merges = "#version: 0.2\na b\nĠ a\nĠ Ġ\nab ab\na a\naa aa\n";
const char* const kVocabTxt = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##able\n日\na\n##b\n";

std::string rank_lines() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  for (const char* text : {"th", "the", " t", " th", "aa", "aaaa", "  ", "\n\n", "\xC3\xA9"}) {
    tokens.emplace_back(text);
  }
  std::string lines;
  for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
    for (std::size_t i = 0; i < tokens[rank].size(); i += 3) {
      const std::string part = tokens[rank].substr(i, 3);
      std::array<std::uint32_t, 3> byte{};
      for (std::size_t j = 0; j < part.size(); ++j) byte[j] = static_cast<std::uint8_t>(part[j]);
      const std::uint32_t word = byte[0] << 16 | byte[1] << 8 | byte[2];
      for (std::size_t j = 0; j < 4; ++j) {
        lines += j > part.size() ? '=' : kDigits[word >> (18 - 6 * j) & 63];
      }
    }
    lines += ' ' + std::to_string(rank) + '\n';
  }
  return lines;
}

// `type`: 1 Unigram, 2 BPE, as in the file.
std::string model_file(int type, bool byte_fallback, std::string_view charsmap) {
  ProtoWriter file;
  const auto piece = [&](std::string_view text, float score, PieceType kind) {
    ProtoWriter one;
    one.add_bytes(1, text);
    one.add_float(2, score);
    if (kind != PieceType::kNormal) one.add_varint(3, static_cast<std::uint64_t>(kind));
    file.add_bytes(1, one.text());
  };
  piece("<unk>", 0, PieceType::kUnknown);
  piece("<s>", 0, PieceType::kControl);
  piece("</s>", 0, PieceType::kControl);
  piece("<sep>", 0, PieceType::kUserDefined);
  if (byte_fallback) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (unsigned b = 0; b < 256; ++b) {
      piece({"<0x" + std::string{kHex[b >> 4], kHex[b & 15]} + ">"}, 0, PieceType::kByte);
    }
  }
  float score = -1;
  for (const char* text : {"▁a", "ab", "▁", "a", "b", "▁ab", "aa", "▁▁", "日"}) {
    piece(text, score, PieceType::kNormal);
    score -= 1;
  }
  ProtoWriter trainer, normalizer;
  trainer.add_int32(3, type);
  if (byte_fallback) trainer.add_varint(35, 1);
  normalizer.add_bytes(1, "small");
  if (!charsmap.empty()) normalizer.add_bytes(2, charsmap);
  if (type == 2) normalizer.add_varint(4, 0);  // extra white space stays, as in LLaMA's file
  file.add_bytes(2, trainer.text());
  file.add_bytes(3, normalizer.text());
  return file.text();
}

// "a" -> "b" and nothing else: a double array of two levels.
std::string small_charsmap() {
  std::vector<std::uint32_t> units(512, 0);
  units[0] = 1u << 10;
  units[1u ^ 'a'] = (2u << 10) | 1u << 8 | 'a';
  units[1u ^ 'a' ^ 2u] = 1u << 31;
  std::string bytes;
  const auto word = [&](std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift);
  };
  word(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) word(unit);
  return bytes + std::string("b\0", 2);
}

}  // namespace

ReadOptions options_of(const SmallFile& file) {
  ReadOptions options;
  if (file.format == Format::kTiktoken) {
    options.pattern = "cl100k_base";
    options.special_tokens = {{"<|end|>", 300}};
    options.has_special_tokens = true;
  }
  if (file.format == Format::kVocabJson) options.merges = as_text(file.beside);
  if (file.format == Format::kTokenizerJson) options.metadata = as_text(file.beside);
  return options;
}

TokenizerSpec read_small(const SmallFile& file) {
  return read_tokenizer(as_text(file.bytes), file.name, options_of(file));
}

std::vector<SmallFile> small_files() {
  std::vector<SmallFile> files = {
      {"tiktoken", Format::kTiktoken, rank_lines(), ""},
      {"json-byte-level", Format::kTokenizerJson, kByteLevelJson, ""},
      {"json-bpe", Format::kTokenizerJson, kCharBpeJson, ""},
      {"json-bpe-suffix", Format::kTokenizerJson, kSuffixBpeJson, ""},
      {"json-wordpiece", Format::kTokenizerJson, kWordPieceJson, ""},
      {"json-unigram", Format::kTokenizerJson, kUnigramJson, ""},
      {"model-bpe", Format::kSentencePiece, model_file(2, true, ""), ""},
      {"model-unigram", Format::kSentencePiece, model_file(1, false, small_charsmap()), ""},
      {"model-unigram-bytes", Format::kSentencePiece, model_file(1, true, ""), ""},
      {"vocab-json", Format::kVocabJson, kGpt2VocabJson, kGpt2Merges},
      {"vocab-txt", Format::kVocabTxt, kVocabTxt, ""}};
  const auto derive = [&](const char* from, const char* name, Format format, bool has_metadata) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (files[i].name != from) continue;
      const TokenizerSpec spec = read_small(files[i]);
      files.push_back({name, format, write_tokenizer(spec, format),
                       has_metadata ? write_tokenizer(spec, Format::kMetadata) : ""});
      return;
    }
  };
  derive("vocab-json", "gguf-bpe", Format::kGguf, false);
  derive("model-bpe", "gguf-llama", Format::kGguf, false);
  derive("model-unigram", "gguf-t5", Format::kGguf, false);
  derive("vocab-txt", "gguf-bert", Format::kGguf, false);
  derive("tiktoken", "own-tiktoken", Format::kTokenizerJson, true);
  derive("model-unigram", "own-unigram", Format::kTokenizerJson, true);
  derive("model-bpe", "own-bpe", Format::kTokenizerJson, true);
  return files;
}

std::vector<SmallTokenizer> small_tokenizers() {
  std::vector<SmallTokenizer> tokenizers;
  for (const SmallFile& file : small_files()) {
    tokenizers.push_back(
        {file.name, std::make_shared<const Pipeline>(read_small(file)), file.name == "tiktoken"});
  }
  return tokenizers;
}

EncodeOptions allow_all(const Pipeline& pipeline) {
  return {.allowed = std::vector<char>(pipeline.spec().added.size(), 1)};
}

}  // namespace llmcore::test
