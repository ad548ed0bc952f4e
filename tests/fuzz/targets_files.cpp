// Files of every format: read, made a tokenizer, used, written in every format and read again.
#include "small_tokenizers.h"
#include "target.h"
#include "tokenizer/errors.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::fuzz {
namespace {

using namespace llmcore::tokenizer;
using test::SmallFile;

constexpr std::string_view kProbes[] = {"a", "ab abc  aab\n<|end|>foo unable",
                                        "\xC3\xA9\xE6\x97\xA5 1234\t\xFF<sep>bab [UNK]."};

std::vector<std::uint32_t> ids_of(const Pipeline& pipeline, std::string_view text) {
  const Encoded encoded = pipeline.encode(as_text(text), test::allow_all(pipeline));
  return {encoded.ids.data(), encoded.ids.data() + encoded.ids.size()};
}

// The ids of all probes; "no token" is an answer too.
std::vector<std::vector<std::uint32_t>> answers(const Pipeline& pipeline) {
  std::vector<std::vector<std::uint32_t>> all;
  for (const std::string_view probe : kProbes) {
    try {
      all.push_back(ids_of(pipeline, probe));
    } catch (const DataError&) {
      all.push_back({UINT32_MAX});
    }
    for (const std::uint32_t id : all.back()) {
      if (id == UINT32_MAX) continue;
      require(id < pipeline.size(), "an id of encode is not below size()");
    }
  }
  return all;
}

ReadOptions options_to_reread(const TokenizerSpec& spec, Format format) {
  ReadOptions options;
  if (format == Format::kTiktoken) {
    options.has_special_tokens = true;
    for (const AddedTokenSpec& added : spec.added) {
      options.special_tokens.emplace_back(added.content, added.id);
    }
  }
  return options;
}

// Written as `format` and read again, a tokenizer gives the same ids.
void check_round_trip(const Pipeline& pipeline, Format format,
                      const std::vector<std::vector<std::uint32_t>>& expected) {
  const TokenizerSpec& spec = pipeline.spec();
  std::string bytes, beside;
  try {
    bytes = write_tokenizer(spec, format);
    if (format == Format::kTokenizerJson) beside = write_tokenizer(spec, Format::kMetadata);
    if (format == Format::kVocabJson) beside = write_tokenizer(spec, Format::kMergesTxt);
  } catch (const DataError&) {
    return;  // the format cannot express it
  }
  ReadOptions options = options_to_reread(spec, format);
  if (format == Format::kTokenizerJson) options.metadata = as_text(beside);
  if (format == Format::kVocabJson) options.merges = as_text(beside);
  if (format == Format::kTiktoken) {
    options.pattern = "gpt2";
    const TokenizerSpec again = read_tokenizer(as_text(bytes), "again", options);
    require(again.tokens.size() == spec.tokens.size(), "tiktoken: other tokens when read again");
    return;  // the file does not say the pattern
  }
  try {
    const Pipeline again(read_tokenizer(as_text(bytes), "again", options));
    require(answers(again) == expected,
            std::string(format_name(format)) + ": other ids when read again");
  } catch (const DataError& error) {
    throw Broken(std::string(format_name(format)) + ": cannot be read again: " + error.what());
  } catch (const ConfigError& error) {
    throw Broken(std::string(format_name(format)) + ": cannot be read again: " + error.what());
  }
}

void use(TokenizerSpec spec, Format own) {
  const Pipeline pipeline(std::move(spec));
  const auto expected = answers(pipeline);
  check_round_trip(pipeline, Format::kTokenizerJson, expected);
  if (own != Format::kTokenizerJson) check_round_trip(pipeline, own, expected);
}

std::vector<std::string> seeds_of(Format format) {
  std::vector<std::string> seeds;
  for (const SmallFile& file : test::small_files()) {
    if (file.format != format) continue;
    seeds.push_back(file.bytes);
    if (format == Format::kVocabJson) seeds.back() += '\0' + file.beside;
  }
  return seeds;
}

void run_any_file(std::string_view input) {
  use(read_tokenizer(as_text(input), "file", {}), Format::kTokenizerJson);
}
void run_tiktoken(std::string_view input) {
  ReadOptions options;
  options.pattern = "cl100k_base";
  use(read_tiktoken(as_text(input), "file", options), Format::kTiktoken);
}
void run_tokenizer_json(std::string_view input) {
  use(read_tokenizer_json(as_text(input), "file"), Format::kTokenizerJson);
}
void run_sentencepiece(std::string_view input) {
  use(read_sentencepiece(as_text(input), "file"), Format::kSentencePiece);
}
void run_gguf(std::string_view input) {
  use(read_gguf(as_text(input), "file", {}), Format::kGguf);
}
void run_vocab_txt(std::string_view input) {
  use(read_vocab_txt(as_text(input), "file", {}), Format::kVocabTxt);
}
void run_vocab_json(std::string_view input) {
  const auto [vocab, merges] = cut(input, '\0');
  ReadOptions options;
  options.merges = as_text(merges);
  use(read_vocab_json(as_text(vocab), "file", options), Format::kVocabJson);
}
// tokenizer.json and the metadata beside it.
void run_directory(std::string_view input) {
  const auto [file, metadata] = cut(input, '\0');
  TokenizerSpec spec = read_tokenizer_json(as_text(file), "file");
  apply_metadata(spec, as_text(metadata), "file");
  use(std::move(spec), Format::kTokenizerJson);
}

std::vector<std::string> any_seeds() {
  std::vector<std::string> seeds;
  for (const SmallFile& file : test::small_files()) seeds.push_back(file.bytes);
  return seeds;
}
std::vector<std::string> directory_seeds() {
  std::vector<std::string> seeds;
  for (const SmallFile& file : test::small_files()) {
    if (!file.beside.empty() && file.format == Format::kTokenizerJson) {
      seeds.push_back(file.bytes + '\0' + file.beside);
    }
  }
  return seeds;
}
template <Format kFormat>
std::vector<std::string> seeds_for() {
  return seeds_of(kFormat);
}

const std::vector<std::string> kJsonWords = {"null",
                                             "true",
                                             "false",
                                             "\"type\":",
                                             "\"BPE\"",
                                             "\"Unigram\"",
                                             "\"WordPiece\"",
                                             "\"WordLevel\"",
                                             "\"Sequence\"",
                                             "\"normalizers\":[",
                                             "\"NFC\"",
                                             "\"NFKD\"",
                                             "\"Lowercase\"",
                                             "\"Replace\"",
                                             "\"Precompiled\"",
                                             "\"precompiled_charsmap\":\"\"",
                                             "\"Regex\"",
                                             "\"String\"",
                                             "\"Metaspace\"",
                                             "\"ByteLevel\"",
                                             "\"byte_fallback\":true",
                                             "\"ignore_merges\":true",
                                             "\"dropout\":0.5",
                                             "\"unk_id\":null",
                                             "\"added_tokens\":[",
                                             "\"lstrip\":true",
                                             "\"normalized\":true",
                                             "\\u0000",
                                             "\\ud83d\\ude00",
                                             "\xE2\x96\x81",
                                             "<0x61>",
                                             "##",
                                             "</w>",
                                             "{}",
                                             "[]",
                                             ",",
                                             "\"a\":",
                                             "[[\"a\",0]]",
                                             "\"end_of_word_suffix\":\"\"",
                                             "\"continuing_subword_prefix\":\"##\"",
                                             "\"fuse_unk\":true"};
const std::vector<std::string> kGgufWords = {"tokenizer.ggml.model",
                                             "tokenizer.ggml.tokens",
                                             "tokenizer.ggml.scores",
                                             "tokenizer.ggml.token_type",
                                             "tokenizer.ggml.merges",
                                             "tokenizer.ggml.pre",
                                             "llama",
                                             "gpt2",
                                             "bert",
                                             "t5",
                                             "llama-bpe",
                                             "qwen2",
                                             "default",
                                             "tokenizer.ggml.bos_token_id",
                                             "tokenizer.ggml.add_bos_token",
                                             "tokenizer.ggml.precompiled_charsmap",
                                             "general.alignment",
                                             "tokenizer.ggml.add_space_prefix",
                                             "tokenizer.ggml.remove_extra_whitespaces"};
const std::vector<std::string> kPieceWords = {"<unk>",
                                              "<s>",
                                              "</s>",
                                              "<0x61>",
                                              "\xE2\x96\x81",
                                              "\x18\x02",
                                              "\x18\x03",
                                              "\x18\x04",
                                              "\x18\x05",
                                              "\x18\x06",
                                              "\x12\x02\x18\x01",
                                              "\x12\x02\x18\x02",
                                              "\x12\x02\x18\x03",
                                              "\x0A\x08\x0A\x01"
                                              "a\x15",
                                              "\x1A",
                                              "\x80\x02\x01",
                                              std::string("\x15\0\0\xC0\x7F", 5)};
const std::vector<std::string> kLineWords = {
    "YQ==", "YWI=", " 0\n", " 256\n", "\r\n", "[UNK]", "##a", "\n", "#version: 0.2\n", "\xC4\xA0"};

}  // namespace

std::vector<Target> file_targets() {
  const Bounds bounds = {.steps = 60'000'000, .steps_per_byte = 50'000};
  return {
      {"any_file", run_any_file, any_seeds, kJsonWords, 8192, bounds},
      {"tiktoken", run_tiktoken, seeds_for<Format::kTiktoken>, kLineWords, 8192, bounds},
      {"tokenizer_json", run_tokenizer_json, seeds_for<Format::kTokenizerJson>, kJsonWords, 8192,
       bounds},
      {"sentencepiece", run_sentencepiece, seeds_for<Format::kSentencePiece>, kPieceWords, 8192,
       bounds},
      {"gguf", run_gguf, seeds_for<Format::kGguf>, kGgufWords, 16384, bounds},
      {"vocab_txt", run_vocab_txt, seeds_for<Format::kVocabTxt>, kLineWords, 4096, bounds},
      {"vocab_json", run_vocab_json, seeds_for<Format::kVocabJson>, kJsonWords, 4096, bounds},
      {"directory", run_directory, directory_seeds, kJsonWords, 16384, bounds},
  };
}

}  // namespace llmcore::fuzz
