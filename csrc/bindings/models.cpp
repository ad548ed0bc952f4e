// Door to csrc/tokenizer/models: WordPiece and Unigram.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"
#include "tokenizer/models/unigram.h"
#include "tokenizer/models/wordpiece.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

std::vector<std::string> texts_of(const nb::list& tokens) {
  std::vector<std::string> texts;
  texts.reserve(nb::len(tokens));
  for (const nb::handle token : tokens) texts.emplace_back(as_view(view_of(token)));
  return texts;
}

IdBuffer encode_ids(const Model& model, nb::handle text, std::vector<std::uint32_t>* ends) {
  const Text view = view_of(text);
  const std::unique_ptr<ModelScratch> scratch = model.make_scratch();
  IdBuffer ids;
  const nb::gil_scoped_release release;
  if (!view.empty()) model.encode(view, *scratch, ids, ends);
  return ids;
}

auto encode(const Model& model, nb::handle text) {
  return to_numpy(encode_ids(model, text, nullptr));
}

auto encode_with_ends(const Model& model, nb::handle text) {
  std::vector<std::uint32_t> ends;
  IdBuffer ids = encode_ids(model, text, &ends);
  return nb::make_tuple(to_numpy(std::move(ids)), to_numpy(std::move(ends)));
}

// Ids of all texts in a row, and where each begins: one scratch for all, as a thread has it.
auto encode_batch(const Model& model, const nb::list& texts) {
  const std::vector<Text> views = views_of(texts);
  IdBuffer ids;
  std::vector<std::int64_t> offsets{0};
  {
    const nb::gil_scoped_release release;
    const std::unique_ptr<ModelScratch> scratch = model.make_scratch();
    for (const Text view : views) {
      if (!view.empty()) model.encode(view, *scratch, ids, nullptr);
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
  return nb::make_tuple(to_numpy(std::move(ids)), to_numpy(std::move(offsets)));
}

// Ids of the words between ASCII spaces of one text.
auto encode_words(const Model& model, nb::handle text) {
  const Text view = view_of(text);
  IdBuffer ids;
  {
    const nb::gil_scoped_release release;
    const std::unique_ptr<ModelScratch> scratch = model.make_scratch();
    const auto is_space = [](std::uint8_t b) { return b == ' ' || (b >= 9 && b <= 13); };
    for (std::size_t i = 0; i < view.size();) {
      const std::size_t begin = i;
      while (i < view.size() && !is_space(view[i])) ++i;
      if (i > begin) model.encode(view.subspan(begin, i - begin), *scratch, ids, nullptr);
      while (i < view.size() && is_space(view[i])) ++i;
    }
  }
  return to_numpy(std::move(ids));
}

std::unique_ptr<UnigramModel> build_unigram(const nb::list& tokens,
                                            const std::vector<double>& scores, std::int64_t unk_id,
                                            bool byte_fallback, bool sentencepiece,
                                            const std::vector<int>& types) {
  TokenizerSpec spec;
  spec.kind = ModelKind::kUnigram;
  spec.tokens = texts_of(tokens);
  spec.scores = scores;
  spec.unigram.unk_id = unk_id;
  spec.unigram.byte_fallback = byte_fallback;
  UnigramRules rules;
  rules.sentencepiece = sentencepiece;
  for (const int type : types) rules.types.push_back(static_cast<PieceType>(type));
  const nb::gil_scoped_release release;
  return make_unigram(spec, rules);
}

std::unique_ptr<WordPieceModel> build_wordpiece(const nb::list& tokens,
                                                const std::string& unk_token,
                                                const std::string& prefix,
                                                std::uint64_t max_input_chars_per_word) {
  TokenizerSpec spec;
  spec.kind = ModelKind::kWordPiece;
  spec.tokens = texts_of(tokens);
  spec.wordpiece = {unk_token, prefix, max_input_chars_per_word};
  const nb::gil_scoped_release release;
  return std::make_unique<WordPieceModel>(spec);
}

void bind_unigram(nb::module_& m) {
  nb::class_<UnigramModel>(m, "Unigram")
      .def_static("build", &build_unigram, nb::arg("tokens"), nb::arg("scores"), nb::arg("unk_id"),
                  nb::arg("byte_fallback"), nb::arg("sentencepiece"), nb::arg("types"))
      .def_prop_ro("size", &UnigramModel::size)
      .def("encode", [](const UnigramModel& self, nb::handle text) { return encode(self, text); })
      .def("encode_with_ends",
           [](const UnigramModel& self, nb::handle text) { return encode_with_ends(self, text); })
      .def("encode_batch", [](const UnigramModel& self,
                              const nb::list& texts) { return encode_batch(self, texts); })
      .def(
          "sample",
          [](const UnigramModel& self, nb::handle text, double alpha, std::uint64_t seed) {
            IdBuffer ids;
            self.sample(view_of(text), alpha, seed, ids, nullptr);
            return to_numpy(std::move(ids));
          },
          nb::arg("text"), nb::arg("alpha"), nb::arg("seed"))
      .def(
          "nbest",
          [](const UnigramModel& self, nb::handle text, std::size_t count) {
            return self.nbest(view_of(text), count);
          },
          nb::arg("text"), nb::arg("count"))
      .def(
          "sample_nbest",
          [](const UnigramModel& self, nb::handle text, std::size_t count, double alpha,
             std::uint64_t seed) { return self.sample_nbest(view_of(text), count, alpha, seed); },
          nb::arg("text"), nb::arg("count"), nb::arg("alpha"), nb::arg("seed"));
}

void bind_wordpiece(nb::module_& m) {
  nb::class_<WordPieceModel>(m, "WordPiece")
      .def_prop_ro("size", &WordPieceModel::size)
      .def_static("build", &build_wordpiece, nb::arg("tokens"), nb::arg("unk_token"),
                  nb::arg("continuing_subword_prefix"), nb::arg("max_input_chars_per_word"))
      .def("encode", [](const WordPieceModel& self, nb::handle text) { return encode(self, text); })
      .def("encode_with_ends",
           [](const WordPieceModel& self, nb::handle text) { return encode_with_ends(self, text); })
      .def("encode_batch", [](const WordPieceModel& self,
                              const nb::list& texts) { return encode_batch(self, texts); })
      .def("encode_words",
           [](const WordPieceModel& self, nb::handle text) { return encode_words(self, text); });
}

}  // namespace

void bind_models(nanobind::module_& m) {
  bind_unigram(m);
  bind_wordpiece(m);
}

}  // namespace llmcore::bindings
