// Door to csrc/tokenizer/pipeline: whole tokenizers.
#include "tokenizer/pipeline/pipeline.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

// Short texts are encoded under the GIL: giving it up costs more than the work.
constexpr std::size_t kShortText = 2048;

EncodeOptions options_of(const std::vector<bool>& allowed, bool add_special_tokens, bool tracks) {
  return {.allowed = {allowed.begin(), allowed.end()},
          .add_special_tokens = add_special_tokens,
          .tracks = tracks};
}

Encoded encode(const Pipeline& self, nb::handle text, const EncodeOptions& options) {
  const Text view = view_of(text);
  if (view.size() < kShortText) return self.encode(view, options);
  const nb::gil_scoped_release release;
  return self.encode(view, options);
}

nb::list list_of(const IdBuffer& ids) {
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(ids.size()));
  if (list == nullptr) throw nb::python_error();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    PyList_SetItem(list, static_cast<Py_ssize_t>(i), PyLong_FromUnsignedLong(ids.data()[i]));
  }
  return nb::steal<nb::list>(list);
}

// Character numbers of the byte positions in `spans`; those inside a character count as its start,
// as ends as its end.
std::vector<std::int64_t> char_spans(Text text, const std::vector<Origin>& origins) {
  std::vector<std::uint32_t> before(text.size() + 1, 0);  // characters that begin before byte i
  for (std::size_t i = 0; i < text.size(); ++i) {
    before[i + 1] = before[i] + ((text[i] & 0xC0) != 0x80 ? 1 : 0);
  }
  const auto begins_char = [&](std::size_t i) {
    return i >= text.size() || (text[i] & 0xC0) != 0x80;
  };
  std::vector<std::int64_t> spans;
  spans.reserve(origins.size() * 2);
  for (const Origin& origin : origins) {
    const std::int64_t begin = before[origin.begin];
    spans.push_back(begins_char(origin.begin) || begin == 0 ? begin : begin - 1);
    spans.push_back(before[origin.end]);
  }
  return spans;
}

std::vector<std::int64_t> byte_spans(const std::vector<Origin>& origins) {
  std::vector<std::int64_t> spans;
  spans.reserve(origins.size() * 2);
  for (const Origin& origin : origins) {
    spans.push_back(origin.begin);
    spans.push_back(origin.end);
  }
  return spans;
}

nb::object encode_with_offsets(const Pipeline& self, nb::handle text,
                               const std::vector<bool>& allowed, bool add_special_tokens,
                               bool in_bytes) {
  Encoded encoded = encode(self, text, options_of(allowed, add_special_tokens, true));
  std::vector<std::int64_t> spans =
      in_bytes ? byte_spans(encoded.origins) : char_spans(view_of(text), encoded.origins);
  return nb::make_tuple(to_numpy(std::move(encoded.ids)), to_numpy(std::move(spans)));
}

using ByteSpan = std::pair<std::uint32_t, std::uint32_t>;

nb::list encode_guarded(const Pipeline& self, nb::handle text, const std::vector<bool>& allowed,
                        const std::vector<ByteSpan>& guarded) {
  EncodeOptions options = options_of(allowed, false, false);
  for (const auto& [begin, end] : guarded) {
    if (begin > end || (!options.guarded.empty() && begin < options.guarded.back().end)) {
      throw ConfigError("encode: guarded parts must be in order and apart");
    }
    options.guarded.push_back({begin, end});
  }
  return list_of(encode(self, text, options).ids);
}

nb::object encode_batch(const Pipeline& self, const nb::list& texts,
                        const std::vector<bool>& allowed, bool add_special_tokens,
                        unsigned num_threads) {
  const std::vector<Text> views = views_of(texts);
  const EncodeOptions options = options_of(allowed, add_special_tokens, false);
  BatchIds batch;
  {
    const nb::gil_scoped_release release;
    batch = self.encode_batch(views, options, num_threads, check_signals);
  }
  return nb::make_tuple(to_numpy(std::move(batch.ids)), to_numpy(std::move(batch.offsets)));
}

}  // namespace

void bind_pipeline(nb::module_& m) {
  nb::class_<Pipeline>(m, "Pipeline")
      .def_static(
          "build", [](const TokenizerSpec& spec) { return std::make_shared<Pipeline>(spec); },
          nb::arg("spec"), nb::call_guard<nb::gil_scoped_release>())
      .def(
          "encode",
          [](const Pipeline& self, nb::handle text, const std::vector<bool>& allowed,
             bool add_special_tokens) {
            return list_of(encode(self, text, options_of(allowed, add_special_tokens, false)).ids);
          },
          nb::arg("text"), nb::arg("allowed"), nb::arg("add_special_tokens"))
      .def(
          "encode_array",
          [](const Pipeline& self, nb::handle text, const std::vector<bool>& allowed,
             bool add_special_tokens) {
            return to_numpy(encode(self, text, options_of(allowed, add_special_tokens, false)).ids);
          },
          nb::arg("text"), nb::arg("allowed"), nb::arg("add_special_tokens"))
      .def("encode_guarded", &encode_guarded, nb::arg("text"), nb::arg("allowed"),
           nb::arg("guarded"))
      .def("encode_batch", &encode_batch, nb::arg("texts"), nb::arg("allowed"),
           nb::arg("add_special_tokens"), nb::arg("num_threads"))
      .def("encode_with_offsets", &encode_with_offsets, nb::arg("text"), nb::arg("allowed"),
           nb::arg("add_special_tokens"), nb::arg("in_bytes"))
      .def(
          "sample",
          [](const Pipeline& self, nb::handle text, const std::vector<bool>& allowed,
             double strength, std::uint64_t seed) {
            return list_of(
                self.sample(view_of(text), options_of(allowed, false, false), strength, seed).ids);
          },
          nb::arg("text"), nb::arg("allowed"), nb::arg("strength"), nb::arg("seed"))
      .def(
          "nbest",
          [](const Pipeline& self, nb::handle text, std::size_t count) {
            nb::list found;
            for (const auto& [score, ids] : self.nbest(view_of(text), count)) {
              found.append(nb::make_tuple(score, ids));
            }
            return found;
          },
          nb::arg("text"), nb::arg("count"))
      .def(
          "token_text",
          [](const Pipeline& self, std::uint64_t id) {
            if (id >= self.size()) {
              throw DataError("tokenizer: id must be below " + std::to_string(self.size()) +
                              ", got " + std::to_string(id));
            }
            return std::string(self.token_text(static_cast<std::uint32_t>(id)));
          },
          nb::arg("id"))
      .def(
          "find_text",
          [](const Pipeline& self, const std::string& text) { return self.find(text); },
          nb::arg("text"))
      .def(
          "count_steps",
          [](const Pipeline& self, nb::handle text) { return self.count_steps(view_of(text)); },
          nb::arg("text"))
      .def_prop_ro("spec", [](const Pipeline& self) { return TokenizerSpec(self.spec()); })
      .def_prop_ro("size", &Pipeline::size)
      .def_prop_ro("kind",
                   [](const Pipeline& self) {
                     constexpr const char* kNames[] = {"bpe", "wordpiece", "unigram"};
                     return kNames[static_cast<std::size_t>(self.spec().kind)];
                   })
      .def_prop_ro("token_bytes", [](const Pipeline& self) {
        return std::const_pointer_cast<TokenBytes>(self.token_bytes());
      });
}

}  // namespace llmcore::bindings
