// The parts of a tokenizer, each from its JSON component and a text behind a NUL.
#include <algorithm>

#include "regex_reference.h"
#include "small_tokenizers.h"
#include "target.h"
#include "tokenizer/decode/post_processor.h"
#include "tokenizer/decode/stream.h"
#include "tokenizer/formats/json_text.h"
#include "tokenizer/normalize/normalizer.h"
#include "tokenizer/split/pre_tokenizer.h"
#include "tokenizer/split/regex.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;

void run_json(std::string_view input) {
  const std::string text = compact_json(std::string(input), "json");
  require(compact_json(text, "json") == text, "compact JSON is not its own compact form");
}

// First byte: the flavor. Then the pattern, a NUL and the text.
void run_regex(std::string_view input) {
  if (input.empty()) return;
  const auto flavor = (input[0] & 1) != 0 ? RegexFlavor::kFancyRegex : RegexFlavor::kOniguruma;
  const auto [pattern, text] = cut(input.substr(1), '\0');
  const Regex regex(pattern, flavor, "pattern");
  std::vector<Match> matches;
  regex.find_all(as_text(text), matches);
  std::size_t end = 0;
  for (const Match& match : matches) {
    require(match.begin >= end && match.begin <= match.end && match.end <= text.size(),
            "matches overlap or leave the text");
    end = match.end;
  }
  if (text.size() > 64) return;
  const RegexNode tree = parse_regex(pattern, flavor, "pattern");
  const auto expected = RegexReference(tree, as_text(text)).find_all();
  require(!expected || *expected == matches, "matches differ from backtracking");
}

void run_normalizer(std::string_view input) {
  const auto [component, text] = cut(input, '\0');
  const JsonDocument json(std::string(component), "normalizer");
  const auto normalizer = make_normalizer(json.root(), "normalizer");
  if (!normalizer) return;
  AlignedText from, plain, tracked;
  from.start(as_text(text), false);
  normalizer->apply(from, plain);
  from.start(as_text(text), true);
  normalizer->apply(from, tracked);
  require(plain.view() == tracked.view(), "origins change the normalised text");
  for (std::size_t i = 0; i < tracked.size(); ++i) {
    const Origin origin = tracked.origin(i);
    require(origin.begin <= origin.end && origin.end <= text.size(), "an origin leaves the text");
  }
  const std::string_view type = json.root()["type"].is_string() ? json.root()["type"].string() : "";
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    normalizer->apply(plain, tracked);
    require(plain.view() == tracked.view(), "a normal form is not its own normal form");
  }
}

std::vector<Piece> pieces_of(const PreTokenizer& pre_tokenizer, std::string_view text, bool tracks,
                             AlignedText& rewritten) {
  rewritten.start(as_text(text), tracks);
  std::vector<Piece> pieces;
  if (!text.empty()) pieces.push_back({0, static_cast<std::uint32_t>(text.size())});
  pre_tokenizer.split(rewritten, pieces, true);
  return pieces;
}

void run_pre_tokenizer(std::string_view input) {
  const auto [component, text] = cut(input, '\0');
  const JsonDocument json(std::string(component), "pre_tokenizer");
  const auto pre_tokenizer = make_pre_tokenizer(json.root(), "pre_tokenizer");
  if (!pre_tokenizer) return;
  AlignedText plain, tracked;
  const std::vector<Piece> pieces = pieces_of(*pre_tokenizer, text, false, plain);
  require(pieces == pieces_of(*pre_tokenizer, text, true, tracked), "origins change the pieces");
  require(plain.view() == tracked.view(), "origins change the text");
  std::size_t end = 0;
  for (const Piece& piece : pieces) {
    require(piece.begin >= end && piece.begin < piece.end && piece.end <= plain.size(),
            "pieces overlap, are empty or leave the text");
    end = piece.end;
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto [line, rest] = cut(text, '\n');
    lines.push_back(line);
    text = rest;
  }
  return lines;
}

// The component, a NUL and the tokens, one a line, which are decoded from first to last.
void run_decoder(std::string_view input) {
  const auto [component, text] = cut(input, '\0');
  const JsonDocument json(std::string(component), "decoder");
  const std::vector<std::string_view> tokens = lines_of(text);
  std::vector<bool> is_special(tokens.size());
  std::vector<std::uint32_t> ids;
  std::vector<std::string> pieces;
  bool is_plain = true;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    ids.push_back(static_cast<std::uint32_t>(i));
    is_special[i] = tokens[i].starts_with("<|");
    is_plain = is_plain && !tokens[i].empty() && valid_utf8_length(tokens[i]) == tokens[i].size();
    pieces.emplace_back(tokens[i]);
  }
  const auto table = std::make_shared<const TokenBytes>(tokens, is_special, json.root(), "decoder");
  for (const bool skips : {false, true}) {
    const std::string whole = table->decode(ids, skips);
    StreamDecoder stream(table, skips);
    std::string joined;
    for (const std::uint32_t id : ids) stream.push(id, joined);
    stream.finish(joined);
    require(joined == whole, "a stream's text differs from decode()");
  }
  const auto chain = make_decoder(json.root(), "decoder");
  if (!chain || !is_plain) return;
  chain->decode(pieces);
  std::string joined;
  for (const std::string& piece : pieces) joined += piece;
  require(joined == table->decode(ids, false), "the steps' text differs from the table's");
}

void run_post_processor(std::string_view input) {
  constexpr std::size_t kIds = 100;
  const auto [component, text] = cut(input, '\0');
  const JsonDocument json(std::string(component), "post_processor");
  const auto processor = make_post_processor(json.root(), "post_processor", kIds);
  TokenRun run;
  for (std::size_t i = 0; i < text.size(); ++i) {
    run.ids.push_back(static_cast<std::uint8_t>(text[i]) % kIds);
    run.spans.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + 1)});
  }
  run.type_ids.assign(run.ids.size(), 0);
  run.is_special.assign(run.ids.size(), 0);
  run.has_spans = true;
  const auto token_text = [](std::uint32_t id) -> std::string_view {
    return id % 3 == 0 ? " a " : "\xC4\xA0";
  };
  for (const bool adds : {false, true}) {
    for (const bool is_pair : {false, true}) {
      const TokenRun done = post_process(
          processor.get(), run, is_pair ? std::optional(run) : std::nullopt, adds, token_text);
      require(done.ids.size() == done.type_ids.size() &&
                  done.ids.size() == done.is_special.size() && done.ids.size() == done.spans.size(),
              "the arrays of a run differ in length");
      for (std::size_t i = 0; i < done.ids.size(); ++i) {
        require(done.ids[i] < kIds, "an id is not below the vocabulary's size");
        require(done.spans[i].begin <= done.spans[i].end && done.spans[i].end <= text.size(),
                "a span leaves the text");
      }
      const auto frame = single_frame(processor.get());
      if (!frame || !adds || is_pair) continue;
      std::vector<std::uint32_t> framed = frame->before;
      framed.insert(framed.end(), run.ids.begin(), run.ids.end());
      framed.insert(framed.end(), frame->after.begin(), frame->after.end());
      require(framed == done.ids, "the frame differs from what the processor does");
    }
  }
}

// --- seeds -----------------------------------------------------------------------------------

constexpr std::string_view kText =
    "Hello  w\xC3\xB6rld, it's 12345\n\n\xE6\x97\xA5\xE6\x9C\xAC a\xCC\x81 \xF0\x9F\x98\x80\xFF\t.";

std::vector<std::string> with_text(std::initializer_list<std::string_view> components,
                                   std::string_view text) {
  std::vector<std::string> seeds;
  for (const std::string_view component : components) {
    seeds.push_back(std::string(component) + '\0' + std::string(text));
  }
  return seeds;
}

std::vector<std::string> json_seeds() {
  std::vector<std::string> seeds = {R"({"a":[1,-2.5e3,true,false,null,"\u00e9\ud83d\ude00\n"]})",
                                    "[[[[]]]]", " 0.1 "};
  for (const test::SmallFile& file : test::small_files()) {
    if (file.format == Format::kTokenizerJson && file.bytes.size() < 4096) {
      seeds.push_back(file.bytes);
    }
  }
  return seeds;
}
std::vector<std::string> regex_seeds() {
  std::vector<std::string> seeds;
  for (const char flavor : {'0', '1'}) {
    for (
        std::string seed : with_text(
            {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
             R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
             R"((?:a|b)*?c|^a|b$|\bword\b|.)", R"([a-z&&[^b]]+|(?<=a)b|(?<!a)c)",
             R"((?i)[[:alpha:]]{2,5}?|\x{61}\u0062\d\D\w\W\h|(?>a+)b)", "(|a)*|(a|)+b?",
             "(a*)*b|(a?){3}c", R"([一-龥]+|\p{Han}|\P{Lu}\p{^Lu})"},
            kText)) {
      seeds.push_back(flavor + seed);
    }
  }
  return seeds;
}
std::vector<std::string> normalizer_seeds() {
  return with_text(
      {R"({"type":"NFC"})", R"({"type":"NFD"})", R"({"type":"NFKC"})", R"({"type":"NFKD"})",
       R"({"type":"Lowercase"})", R"({"type":"Strip","strip_left":true,"strip_right":true})",
       R"({"type":"StripAccents"})", R"({"type":"Nmt"})", R"({"type":"ByteLevel"})",
       R"({"type":"Prepend","prepend":"_"})",
       R"({"type":"Replace","pattern":{"String":"l"},"content":"xx"})",
       R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":"_"})",
       R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":true,"lowercase":true})",
       R"({"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAABhAGIA"})",
       R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"StripAccents"},{"type":"NFC"}]})"},
      kText);
}
std::vector<std::string> pre_tokenizer_seeds() {
  return with_text(
      {R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})",
       R"({"type":"Whitespace"})", R"({"type":"WhitespaceSplit"})",
       R"({"type":"BertPreTokenizer"})", R"({"type":"Punctuation","behavior":"Isolated"})",
       R"({"type":"Digits","individual_digits":true})", R"({"type":"UnicodeScripts"})",
       R"({"type":"CharDelimiterSplit","delimiter":"l"})", R"({"type":"FixedLength","length":3})",
       R"({"type":"Metaspace","replacement":"_","prepend_scheme":"first","split":true})",
       R"({"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|\\s+"},"behavior":"MergedWithPrevious","invert":false})",
       R"({"type":"Split","pattern":{"String":"l"},"behavior":"MergedWithNext","invert":true})",
       R"({"type":"Split","pattern":{"String":" "},"behavior":"Contiguous","invert":false})",
       R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":false},{"type":"Whitespace"}]})"},
      kText);
}
std::vector<std::string> decoder_seeds() {
  return with_text(
      {"null", R"({"type":"ByteLevel"})", R"({"type":"ByteFallback"})", R"({"type":"Fuse"})",
       R"({"type":"WordPiece","prefix":"##","cleanup":true})",
       R"({"type":"Metaspace","replacement":"_","prepend_scheme":"always","split":true})",
       R"({"type":"BPEDecoder","suffix":"</w>"})",
       R"({"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true})",
       R"({"type":"Replace","pattern":{"String":"_"},"content":" "})",
       R"({"type":"Strip","content":" ","start":1,"stop":1})",
       R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})"},
      "_He\nllo\n##a\n<0xE6>\n<0x97>\n<0xA5>\n<0xFF>\n\xC4\xA0world</w>\n<|end|>\nn't\n a "
      "\n|\n<pad>\nb\n b");
}
std::vector<std::string> post_processor_seeds() {
  return with_text(
      {"null", R"({"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]})",
       R"({"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0],"trim_offsets":true,"add_prefix_space":true})",
       R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})",
       R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[CLS]","type_id":1}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1,2],"tokens":["[CLS]","x"]}}})",
       R"({"type":"Sequence","processors":[{"type":"ByteLevel","trim_offsets":true},{"type":"BertProcessing","sep":["b",1],"cls":["a",0]}]})"},
      "abcdefg");
}

const std::vector<std::string> kRegexWords = {"(?:",     "(?i)",      "(?=",
                                              "(?!",     "(?<=",      "(?<!",
                                              "(?>",     ")",         "|",
                                              "*",       "+",         "?",
                                              "*?",      "++",        "{2,3}",
                                              "{0,}",    "{3}",       "\\p{L}",
                                              "\\P{N}",  "\\s",       "\\S",
                                              "\\w",     "\\d",       "\\b",
                                              "\\B",     "\\A",       "\\z",
                                              "^",       "$",         ".",
                                              "[^",      "[a-z",      "]",
                                              "&&",      "[:alpha:]", "\\x{1F600}",
                                              "\\u00e9", "\\h",       "\xE6\x97\xA5",
                                              "(|a)*",   "(a*)*",     "(a|b*)+",
                                              "(?m)",    "(?s)",      "\n",
                                              "aaaa",    "ab"};
const std::vector<std::string> kJsonWords = {"{\"type\":\"Sequence\",\"normalizers\":[",
                                             "{\"type\":\"Sequence\",\"pretokenizers\":[",
                                             "{\"type\":\"Sequence\",\"decoders\":[",
                                             "]}",
                                             "\"Removed\"",
                                             "\"Isolated\"",
                                             "\"Contiguous\"",
                                             "\"MergedWithNext\"",
                                             "\"MergedWithPrevious\"",
                                             "\"never\"",
                                             "\"first\"",
                                             "true",
                                             "false",
                                             "null",
                                             "\"String\"",
                                             "\"Regex\"",
                                             "\"\"",
                                             "\xCC\x81",
                                             "\xE1\x84\x80",
                                             "\xE1\x85\xA1",
                                             "\xE1\x86\xA8",
                                             "\xE2\x80\x8D",
                                             "\xEF\xBF\xBD",
                                             "\xE2\x96\x81",
                                             "\xC4\xB0",
                                             "\xED\xA0\x80",
                                             "\xF4\x90\x80\x80",
                                             "<0x",
                                             "<0xE6>",
                                             " ",
                                             "\n",
                                             "\xF0\x9F\x91\xA9",
                                             "'s"};

}  // namespace

std::vector<Target> component_targets() {
  const Bounds regex = {.steps = 400'000'000, .steps_per_byte = 100'000};
  const Bounds plain = {.steps = 3'000'000, .steps_per_byte = 10'000};
  return {
      {"json", run_json, json_seeds, kJsonWords, 16384, plain},
      {"regex", run_regex, regex_seeds, kRegexWords, 512, regex},
      {"normalizer", run_normalizer, normalizer_seeds, kJsonWords, 4096, regex},
      {"pre_tokenizer", run_pre_tokenizer, pre_tokenizer_seeds, kJsonWords, 2048, regex},
      {"decoder", run_decoder, decoder_seeds, kJsonWords, 16384, plain},
      {"post_processor", run_post_processor, post_processor_seeds, kJsonWords, 4096, plain},
  };
}

}  // namespace llmcore::fuzz
