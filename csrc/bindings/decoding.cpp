// Door to csrc/tokenizer/decode: decoders and post-processors.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/decode/decoder.h"
#include "tokenizer/decode/post_processor.h"
#include "tokenizer/decode/stream.h"
#include "tokenizer/decode/token_bytes.h"
#include "tokenizer/errors.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

using IdSpan = std::span<const std::uint32_t>;
using Spans = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

constexpr std::size_t kFewIds = 512;

// One id of a Python list.
std::uint32_t id_of(PyObject* item, std::size_t size) {
  const long long id = PyLong_Check(item) ? PyLong_AsLongLong(item) : -1;
  if (id == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();
  if (id >= 0 && id <= UINT32_MAX) return static_cast<std::uint32_t>(id);
  throw DataError("decode: ids must be in [0, " + std::to_string(size) + "), got " +
                  nb::cast<std::string>(nb::repr(item)));
}

// The ids of a list or of a uint32 array; `store` holds those of a list.
IdSpan ids_of(nb::handle object, std::size_t size, std::vector<std::uint32_t>& store) {
  if (PyList_Check(object.ptr())) {
    const auto count = static_cast<std::size_t>(PyList_Size(object.ptr()));
    store.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      store[i] = id_of(PyList_GetItem(object.ptr(), static_cast<Py_ssize_t>(i)), size);
    }
    return store;
  }
  using Array = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  Array array;
  if (!nb::try_cast(object, array)) {
    throw DataError("decode: ids must be a list of integers or a uint32 array, got " +
                    nb::cast<std::string>(nb::str(nb::type_name(object.type()))));
  }
  return {array.data(), array.size()};
}

std::string decode_bytes_of(const TokenBytes& self, nb::handle ids, bool skip_special) {
  std::vector<std::uint32_t> store;
  const IdSpan span = ids_of(ids, self.size(), store);
  std::string bytes;
  if (span.size() < kFewIds) {
    self.decode_bytes(span, skip_special, bytes);
  } else {
    const nb::gil_scoped_release release;
    self.decode_bytes(span, skip_special, bytes);
  }
  return bytes;
}

// Ill-formed UTF-8 becomes U+FFFD, one for each maximal subpart: the policy of the decoders too.
nb::str text_of(const std::string& bytes) {
  PyObject* text =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (text == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(text);
}

std::shared_ptr<TokenBytes> make_token_bytes(const nb::list& tokens,
                                             const std::vector<bool>& is_special,
                                             const std::string& decoder) {
  std::vector<std::string_view> texts;
  texts.reserve(nb::len(tokens));
  for (const nb::handle token : tokens) texts.push_back(chars_of(token));
  const nb::gil_scoped_release release;
  const JsonDocument document(decoder, "decoder");
  return std::make_shared<TokenBytes>(texts, is_special, document.root(), "decoder");
}

// What the decoder makes of token texts, by the list as a whole: the door of the tests.
std::string decode_tokens(const std::string& decoder, std::vector<std::string> tokens) {
  const JsonDocument document(decoder, "decoder");
  make_decoder_chain(document.root(), "decoder")->decode(tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

void bind_decoders(nb::module_& m) {
  nb::class_<TokenBytes>(m, "TokenBytes")
      .def_static("build", &make_token_bytes, nb::arg("tokens"), nb::arg("is_special"),
                  nb::arg("decoder"))
      .def(
          "decode_bytes",
          [](const TokenBytes& self, nb::handle ids, bool skip_special) {
            const std::string bytes = decode_bytes_of(self, ids, skip_special);
            return nb::bytes(bytes.data(), bytes.size());
          },
          nb::arg("ids"), nb::arg("skip_special"))
      .def(
          "decode",
          [](const TokenBytes& self, nb::handle ids, bool skip_special) {
            return text_of(decode_bytes_of(self, ids, skip_special));
          },
          nb::arg("ids"), nb::arg("skip_special"))
      .def(
          "stream",
          [](std::shared_ptr<const TokenBytes> self, bool skip_special) {
            return StreamDecoder(std::move(self), skip_special);
          },
          nb::arg("skip_special"))
      .def(
          "middle",
          [](const TokenBytes& self, nb::handle id) {
            const std::string_view bytes = self.middle(id_of(id.ptr(), self.size()));
            return nb::bytes(bytes.data(), bytes.size());
          },
          nb::arg("id"))
      .def_prop_ro(
          "follows_ids",
          [](const TokenBytes& self) { return self.plan().join != DecodePlan::Join::kWhole; })
      .def_prop_ro("size", &TokenBytes::size);
  nb::class_<StreamDecoder>(m, "TextStream")
      .def(
          "push",
          [](StreamDecoder& self, nb::handle id) {
            std::string text;
            self.push(id_of(id.ptr(), self.num_ids()), text);
            return text_of(text);
          },
          nb::arg("id"))
      .def("finish", [](StreamDecoder& self) {
        std::string text;
        self.finish(text);
        return text_of(text);
      });
  m.def("decode_tokens", &decode_tokens, nb::arg("decoder"), nb::arg("tokens"));
}

struct Processor {
  std::unique_ptr<PostProcessor> processor;
  std::vector<std::string> tokens;
};

TokenRun run_of(std::vector<std::uint32_t> ids, const std::optional<Spans>& spans) {
  TokenRun run;
  run.ids = std::move(ids);
  if (!spans) return run;
  if (spans->size() != run.ids.size()) {
    throw ConfigError("post_process: spans must be as many as ids, got " +
                      std::to_string(spans->size()) + " for " + std::to_string(run.ids.size()));
  }
  run.has_spans = true;
  for (const auto& [begin, end] : *spans) run.spans.push_back({begin, end});
  return run;
}

nb::tuple process(const Processor& self, std::vector<std::uint32_t> ids,
                  std::optional<std::vector<std::uint32_t>> pair, const std::optional<Spans>& spans,
                  const std::optional<Spans>& pair_spans, bool add_special_tokens) {
  std::optional<TokenRun> second;
  if (pair) second = run_of(std::move(*pair), pair_spans);
  const TokenRun run = post_process(
      self.processor.get(), run_of(std::move(ids), spans), std::move(second), add_special_tokens,
      [&](std::uint32_t id) {
        return id < self.tokens.size() ? std::string_view(self.tokens[id]) : std::string_view();
      });
  Spans out;
  for (const TokenSpan span : run.spans) out.emplace_back(span.begin, span.end);
  return nb::make_tuple(run.ids, run.type_ids,
                        std::vector<int>(run.is_special.begin(), run.is_special.end()),
                        run.has_spans ? nb::cast(out) : nb::none());
}

void bind_processors(nb::module_& m) {
  nb::class_<Processor>(m, "PostProcessor")
      .def_static(
          "build",
          [](const std::string& component, std::vector<std::string> tokens) {
            const JsonDocument document(component, "post_processor");
            auto processor = make_post_processor(document.root(), "post_processor", tokens.size());
            return Processor{std::move(processor), std::move(tokens)};
          },
          nb::arg("component"), nb::arg("tokens"))
      .def("process", &process, nb::arg("ids"), nb::arg("pair").none(), nb::arg("spans").none(),
           nb::arg("pair_spans").none(), nb::arg("add_special_tokens"))
      .def("single_frame", [](const Processor& self) -> nb::object {
        const std::optional<SpecialFrame> frame = single_frame(self.processor.get());
        if (!frame) return nb::none();
        return nb::make_tuple(frame->before, frame->after);
      });
}

}  // namespace

void bind_decoding(nb::module_& m) {
  bind_decoders(m);
  bind_processors(m);
}

}  // namespace llmcore::bindings
