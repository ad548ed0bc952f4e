// Door to csrc/tokenizer/train: WordPiece and Unigram.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"
#include "tokenizer/train/suffix_array.h"
#include "tokenizer/train/unigram_charsmap.h"
#include "tokenizer/train/unigram_trainer.h"
#include "tokenizer/train/wordpiece_trainer.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

// Fields of a trainer's arguments from a dict that must hold nothing else.
class Options {
 public:
  explicit Options(const nb::dict& options, const char* op = "train")
      : options_(options), op_(op) {}

  template <typename T>
  Options& take(const char* name, T& field) {
    if (!options_.contains(name)) return *this;
    ++taken_;
    if (!nb::try_cast<T>(options_[name], field)) {
      throw ConfigError(std::string(op_) + ": " + name + " is out of range or of another type");
    }
    return *this;
  }
  void finish() const {
    if (taken_ != nb::len(options_)) throw ConfigError(std::string(op_) + ": unknown option");
  }

 private:
  const nb::dict& options_;
  const char* op_;
  std::size_t taken_ = 0;
};

// Calls progress(stage, done, total); lets Ctrl-C through.
auto teller(const nb::object& progress, const char* stage, std::size_t total) {
  return [&progress, stage, total](std::size_t done) {
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress.is_none()) progress(stage, done, total);
  };
}

std::vector<std::uint32_t> chars_in(const std::vector<std::string>& texts, const char* name) {
  std::vector<std::uint32_t> chars;
  for (const std::string& text : texts) {
    const nb::object value =
        nb::steal(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
    if (!value.is_valid() || PyUnicode_GetLength(value.ptr()) != 1) {
      PyErr_Clear();
      throw ConfigError(std::string("train: ") + name + " must hold single characters, got '" +
                        text + "'");
    }
    chars.push_back(PyUnicode_ReadChar(value.ptr(), 0));
  }
  return chars;
}

TokenizerSpec wordpiece_door(WordCounter& counter, const nb::dict& options,
                             const std::string& unk_token, const nb::object& progress) {
  WordPieceTrainerArgs args;
  std::vector<std::string> initial_alphabet, continuing_order;
  bool likelihood = false;
  Options(options)
      .take("vocab_size", args.vocab_size)
      .take("likelihood", likelihood)
      .take("min_frequency", args.min_frequency)
      .take("special_tokens", args.special_tokens)
      .take("continuing_subword_prefix", args.continuing_subword_prefix)
      .take("limit_alphabet", args.limit_alphabet)
      .take("initial_alphabet", initial_alphabet)
      .take("max_token_length", args.max_token_length)
      .take("continuing_order", continuing_order)
      .finish();
  args.score = likelihood ? WordPieceScore::kLikelihood : WordPieceScore::kCount;
  args.initial_alphabet = chars_in(initial_alphabet, "initial_alphabet");
  args.continuing_order = chars_in(continuing_order, "continuing_order");
  TokenizerSpec spec;
  spec.kind = ModelKind::kWordPiece;
  {
    const nb::gil_scoped_release release;
    spec.tokens =
        train_wordpiece(counter.merged(), args, teller(progress, "merge", args.vocab_size));
  }
  spec.wordpiece.unk_token = unk_token;
  spec.wordpiece.continuing_subword_prefix = args.continuing_subword_prefix;
  for (std::uint32_t id = 0; id < args.special_tokens.size(); ++id) {
    AddedTokenSpec added;
    added.id = id;
    added.content = args.special_tokens[id];
    added.special = true;
    spec.added.push_back(added);
  }
  return spec;
}

TokenizerSpec unigram_door(WordCounter& counter, const nb::dict& options,
                           const nb::bytes& precompiled_charsmap, const nb::object& progress) {
  UnigramTrainerArgs args;
  Options(options)
      .take("vocab_size", args.vocab_size)
      .take("hard_vocab_limit", args.hard_vocab_limit)
      .take("character_coverage", args.character_coverage)
      .take("required_chars", args.required_chars)
      .take("seed_sentencepiece_size", args.seed_sentencepiece_size)
      .take("shrinking_factor", args.shrinking_factor)
      .take("num_sub_iterations", args.num_sub_iterations)
      .take("max_sentencepiece_length", args.max_sentencepiece_length)
      .take("split_by_unicode_script", args.split_by_unicode_script)
      .take("split_by_number", args.split_by_number)
      .take("split_digits", args.split_digits)
      .take("split_by_whitespace", args.split_by_whitespace)
      .take("treat_whitespace_as_suffix", args.treat_whitespace_as_suffix)
      .take("allow_whitespace_only_pieces", args.allow_whitespace_only_pieces)
      .take("control_symbols", args.control_symbols)
      .take("user_defined_symbols", args.user_defined_symbols)
      .take("byte_fallback", args.byte_fallback)
      .take("unk_id", args.unk_id)
      .take("bos_id", args.bos_id)
      .take("eos_id", args.eos_id)
      .take("pad_id", args.pad_id)
      .take("unk_piece", args.unk_piece)
      .take("bos_piece", args.bos_piece)
      .take("eos_piece", args.eos_piece)
      .take("pad_piece", args.pad_piece)
      .take("unk_surface", args.unk_surface)
      .take("normalizer_name", args.normalizer_name)
      .take("add_dummy_prefix", args.add_dummy_prefix)
      .take("remove_extra_whitespaces", args.remove_extra_whitespaces)
      .take("num_threads", args.num_threads)
      .finish();
  args.precompiled_charsmap.assign(precompiled_charsmap.c_str(), precompiled_charsmap.size());
  const nb::gil_scoped_release release;
  return train_unigram(counter.merged(), args, teller(progress, "prune", args.vocab_size));
}

TokenizerSpec extend_wordpiece_door(const TokenizerSpec& spec, WordCounter& counter,
                                    const nb::dict& options, const nb::object& progress) {
  WordPieceTrainerArgs args;
  bool likelihood = false;
  Options(options, "extend")
      .take("vocab_size", args.vocab_size)
      .take("likelihood", likelihood)
      .take("min_frequency", args.min_frequency)
      .take("limit_alphabet", args.limit_alphabet)
      .take("max_token_length", args.max_token_length)
      .finish();
  args.score = likelihood ? WordPieceScore::kLikelihood : WordPieceScore::kCount;
  const nb::gil_scoped_release release;
  return extend_wordpiece(spec, counter.merged(), args, teller(progress, "merge", args.vocab_size));
}

TokenizerSpec extend_unigram_door(const TokenizerSpec& spec, WordCounter& counter,
                                  const nb::dict& options, const nb::object& progress) {
  UnigramTrainerArgs args;
  Options(options, "extend")
      .take("vocab_size", args.vocab_size)
      .take("character_coverage", args.character_coverage)
      .take("seed_sentencepiece_size", args.seed_sentencepiece_size)
      .take("shrinking_factor", args.shrinking_factor)
      .take("num_sub_iterations", args.num_sub_iterations)
      .take("max_sentencepiece_length", args.max_sentencepiece_length)
      .take("split_by_unicode_script", args.split_by_unicode_script)
      .take("split_by_number", args.split_by_number)
      .take("split_digits", args.split_digits)
      .take("num_threads", args.num_threads)
      .finish();
  const nb::gil_scoped_release release;
  return extend_unigram(spec, counter.merged(), args, teller(progress, "prune", args.vocab_size));
}

// A copy with other components, as JSON texts by name.
TokenizerSpec with_components(TokenizerSpec spec, const nb::dict& components) {
  Options(components)
      .take("normalizer", spec.normalizer)
      .take("pre_tokenizer", spec.pre_tokenizer)
      .take("post_processor", spec.post_processor)
      .take("decoder", spec.decoder)
      .finish();
  return spec;
}

}  // namespace

void bind_trainers(nb::module_& m) {
  m.def("train_wordpiece", &wordpiece_door, nb::arg("counter"), nb::arg("options"),
        nb::arg("unk_token"), nb::arg("progress").none());
  m.def("train_unigram", &unigram_door, nb::arg("counter"), nb::arg("options"),
        nb::arg("precompiled_charsmap"), nb::arg("progress").none());
  m.def("extend_wordpiece", &extend_wordpiece_door, nb::arg("spec"), nb::arg("counter"),
        nb::arg("options"), nb::arg("progress").none());
  m.def("extend_unigram", &extend_unigram_door, nb::arg("spec"), nb::arg("counter"),
        nb::arg("options"), nb::arg("progress").none());
  m.def("with_components", &with_components, nb::arg("spec"), nb::arg("components"));
  m.def(
      "sentencepiece_charsmap",
      [](const std::string& name) {
        const std::string charsmap = [&] {
          const nb::gil_scoped_release release;
          std::string compiled = compile_charsmap(charsmap_rules(name));
#ifdef __GLIBC__
          malloc_trim(0);  // the rules were 70 MB of small blocks, which glibc would keep
#endif
          return compiled;
        }();
        return nb::bytes(charsmap.data(), charsmap.size());
      },
      nb::arg("name"));
  m.def(
      "suffix_array",
      [](const std::vector<std::uint32_t>& text, std::uint32_t alphabet_size) {
        for (const std::uint32_t symbol : text) {
          if (symbol >= alphabet_size) throw DataError("suffix_array: symbol out of range");
        }
        std::vector<std::uint32_t> suffixes = suffix_array(text, alphabet_size);
        std::vector<std::uint32_t> shared = common_prefixes(text, suffixes, 0);
        return nb::make_tuple(to_numpy(std::move(suffixes)), to_numpy(std::move(shared)));
      },
      nb::arg("text"), nb::arg("alphabet_size"));
}

}  // namespace llmcore::bindings
