// Door to csrc/tokenizer/train: word counts, BPE.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"
#include "tokenizer/train/bpe_trainer.h"
#include "tokenizer/train/count_file.h"
#include "tokenizer/train/piece_cutter.h"
#include "tokenizer/train/sentencepiece_bpe.h"
#include "tokenizer/train/word_counter.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

// Values of a dict by name; absent and None are the default.
class Options {
 public:
  explicit Options(const nb::dict& values) : values_(values) {}

  template <class T>
  T get(const char* name, T otherwise) const {
    if (!values_.contains(name) || values_[name].is_none()) return otherwise;
    return nb::cast<T>(values_[name]);
  }

 private:
  const nb::dict& values_;
};

TieBreak tie_break_called(const std::string& name) {
  if (name == "ids") return TieBreak::kIds;
  if (name == "bytes") return TieBreak::kBytes;
  if (name == "shortest") return TieBreak::kShortest;
  throw ConfigError("train: tie_break must be 'ids', 'bytes' or 'shortest', got '" + name + "'");
}

BpeTrainerArgs args_of(const Options& options) {
  constexpr auto kNoLimit = std::numeric_limits<std::size_t>::max();
  const BpeTrainerArgs usual;
  return {
      .vocab_size = options.get<std::size_t>("vocab_size", 0),
      .min_frequency = options.get<std::int64_t>("min_frequency", 0),
      .special_tokens = options.get<std::vector<std::string>>("special_tokens", {}),
      .tie_break = tie_break_called(options.get<std::string>("tie_break", "ids")),
      .max_token_length = options.get("max_token_length", kNoLimit),
      .byte_level = options.get("byte_level", true),
      .byte_fallback = options.get("byte_fallback", false),
      .continuing_subword_prefix = options.get<std::string>("continuing_subword_prefix", ""),
      .end_of_word_suffix = options.get<std::string>("end_of_word_suffix", ""),
      .initial_alphabet = options.get<std::vector<std::string>>("initial_alphabet", {}),
      .limit_alphabet = options.get("limit_alphabet", kNoLimit),
      .character_coverage = options.get("character_coverage", 1.0),
  };
}

TrainTick tick_of(const nb::object& progress, std::size_t vocab_size) {
  return [&progress, vocab_size](std::size_t size) {
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress.is_none()) progress("merge", size, vocab_size);
  };
}

TokenizerSpec train_door(WordCounter& counter, const nb::dict& values, const nb::object& progress) {
  const Options options(values);
  const BpeTrainerArgs args = args_of(options);
  TokenizerSpec spec;
  spec.normalizer = counter.cutter().normalizer();
  spec.pre_tokenizer = counter.cutter().pre_tokenizer();
  spec.post_processor = options.get<std::string>("post_processor", "null");
  spec.decoder = options.get<std::string>("decoder", "null");
  spec.spelling = args.byte_level ? Spelling::kByteChars : Spelling::kText;
  spec.bpe.byte_fallback = args.byte_fallback;
  spec.bpe.fuse_unk = options.get("fuse_unk", false);
  spec.bpe.unk_token = options.get<std::string>("unk_token", "");
  spec.bpe.continuing_subword_prefix = args.continuing_subword_prefix;
  spec.bpe.end_of_word_suffix = args.end_of_word_suffix;
  const bool takes_counts = options.get("takes_counts", false);
  std::uint32_t id = 0;
  for (const std::string& token : args.special_tokens) {
    spec.added.push_back({.id = id++, .content = token, .special = true});
  }
  const nb::gil_scoped_release release;
  const TrainTick tick = tick_of(progress, args.vocab_size);
  TrainedBpe trained = takes_counts ? train_bpe(counter.take(), args, tick)
                                    : train_bpe(counter.merged(), args, tick);
  spec.tokens = std::move(trained.tokens);
  spec.merges = std::move(trained.merges);
  return spec;
}

TokenizerSpec train_sentencepiece_door(WordCounter& counter, const nb::dict& values,
                                       const nb::object& progress) {
  const Options options(values);
  BpeTrainerArgs args = args_of(options);
  args.sentencepiece = true;
  const PieceRules usual;
  const PieceRules rules{
      .max_chars = options.get("max_token_length", usual.max_chars),
      .split_by_unicode_script = options.get("split_by_unicode_script", true),
      .split_by_number = options.get("split_by_number", true),
      .split_digits = options.get("split_digits", false),
  };
  const bool takes_counts = options.get("takes_counts", false);
  const nb::gil_scoped_release release;
  WordTable words = takes_counts ? counter.take() : counter.merged();
  TokenizerSpec spec =
      train_sentencepiece_bpe(std::move(words), args, rules, tick_of(progress, args.vocab_size));
  spec.normalizer = counter.cutter().normalizer();
  return spec;
}

TokenizerSpec extend_door(const TokenizerSpec& spec, WordCounter& counter, const nb::dict& values,
                          const nb::object& progress) {
  const BpeTrainerArgs args = args_of(Options(values));
  const nb::gil_scoped_release release;
  return extend_bpe(spec, counter.merged(), args, tick_of(progress, args.vocab_size));
}

// The last place near the end of a block of text where it may be cut; 0 if there is none.
std::size_t last_safe_cut(const WordCounter& counter, nb::handle block) {
  constexpr std::size_t kTail = 8;  // a character may be cut short there
  const Text text = view_of(block);
  if (text.size() < 2 * kTail) return 0;
  const std::uint8_t* const begin = text.data();
  const std::uint8_t* const end = begin + text.size() - kTail;
  for (std::size_t back = 256;; back *= 16) {
    const std::size_t size = text.size() - kTail;
    const std::uint8_t* from = begin + (size - std::min(size, back));
    const std::uint8_t* cut = counter.cutter().safe_cut(begin, from, begin + text.size());
    if (cut < end) return static_cast<std::size_t>(cut - begin);
    if (from == begin) return 0;
  }
}

nb::bytes write_door(WordCounter& counter) {
  std::string file;
  {
    const nb::gil_scoped_release release;
    file = write_counts(counter);
  }
  return nb::bytes(file.data(), file.size());
}

WordCounter read_door(const nb::bytes& data, const std::string& name, unsigned num_threads) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.c_str());
  const nb::gil_scoped_release release;
  return read_counts({bytes, data.size()}, name, num_threads);
}

WordCounter make_counter(unsigned num_threads, const std::string& normalizer,
                         const std::string& pre_tokenizer) {
  return WordCounter(num_threads, std::make_shared<const PieceCutter>(normalizer, pre_tokenizer));
}

}  // namespace

void bind_training(nb::module_& m) {
  nb::class_<WordCounter>(m, "WordCounter")
      .def(nb::init<unsigned>(), nb::arg("num_threads"))
      .def_static("build", &make_counter, nb::arg("num_threads"), nb::arg("normalizer"),
                  nb::arg("pre_tokenizer"))
      .def_static("read", &read_door, nb::arg("data"), nb::arg("name"), nb::arg("num_threads"))
      .def("write", &write_door)
      .def(
          "count",
          [](WordCounter& self, const nb::list& texts) {
            const std::vector<Text> views = views_of(texts);
            const nb::gil_scoped_release release;
            self.count(views, check_signals);
          },
          nb::arg("texts"))
      .def(
          "add",
          [](WordCounter& self, const nb::bytes& piece, std::int64_t count) {
            self.add({piece.c_str(), piece.size()}, count);
          },
          nb::arg("piece"), nb::arg("count"))
      .def(
          "merge", [](WordCounter& self, WordCounter& other) { self.add(other); }, nb::arg("other"),
          nb::call_guard<nb::gil_scoped_release>())
      .def("items",
           [](WordCounter& self) {
             nb::list items;
             self.merged().for_each([&](std::string_view bytes, std::int64_t count) {
               items.append(nb::make_tuple(nb::bytes(bytes.data(), bytes.size()), count));
             });
             return items;
           })
      .def("last_safe_cut", &last_safe_cut, nb::arg("block"))
      .def_prop_ro("size", [](WordCounter& self) { return self.merged().size(); })
      .def_prop_ro("scans", [](const WordCounter& self) { return self.cutter().scans(); })
      .def_prop_ro("normalizer", [](const WordCounter& self) { return self.cutter().normalizer(); })
      .def_prop_ro("pre_tokenizer",
                   [](const WordCounter& self) { return self.cutter().pre_tokenizer(); });
  m.def("train_bpe", &train_door, nb::arg("counter"), nb::arg("options"),
        nb::arg("progress").none());
  m.def("train_sentencepiece_bpe", &train_sentencepiece_door, nb::arg("counter"),
        nb::arg("options"), nb::arg("progress").none());
  m.def("extend_bpe", &extend_door, nb::arg("spec"), nb::arg("counter"), nb::arg("options"),
        nb::arg("progress").none());
}

}  // namespace llmcore::bindings
