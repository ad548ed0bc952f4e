#include "bindings/tokenizer.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/convert.h"
#include "tokenizer/errors.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/models/bpe_model.h"
#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/pipeline/bpe_encoder.h"
#include "tokenizer/pipeline/token_offsets.h"
#include "tokenizer/split/gpt2_scanner.h"

namespace nb = nanobind;

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

using Ids = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AddedTuple = std::tuple<std::uint32_t, std::string, bool, bool>;

// Raises the class `name` of llmcore.errors.
void raise_as(const char* name, const char* message) {
  PyErr_SetString(nb::module_::import_("llmcore.errors").attr(name).ptr(), message);
}

void translate(const std::exception_ptr& error, void*) {
  try {
    std::rethrow_exception(error);
  } catch (const DataError& e) {
    raise_as("DataError", e.what());
  } catch (const ConfigError& e) {
    raise_as("ConfigError", e.what());
  }
}

// "a b" or ["a", "b"].
std::pair<std::string_view, std::string_view> merge_of(nb::handle item, std::size_t rank) {
  const auto fail = [&]() {
    return DataError("tokenizer: merge " + std::to_string(rank) + " must be two tokens");
  };
  if (PyUnicode_Check(item.ptr())) {
    const std::string_view line = chars_of(item);
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw fail();
    }
    return {line.substr(0, space), line.substr(space + 1)};
  }
  if (!PyList_Check(item.ptr()) || PyList_Size(item.ptr()) != 2) throw fail();
  return {chars_of(PyList_GetItem(item.ptr(), 0)), chars_of(PyList_GetItem(item.ptr(), 1))};
}

std::shared_ptr<BpeEncoder> make_encoder(const nb::list& tokens, const nb::list& merges,
                                         const std::vector<AddedTuple>& added, bool ignore_merges) {
  std::vector<std::string_view> texts;
  texts.reserve(nb::len(tokens));
  for (const nb::handle token : tokens) texts.push_back(chars_of(token));
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  pairs.reserve(nb::len(merges));
  for (const nb::handle item : merges) pairs.push_back(merge_of(item, pairs.size()));
  std::vector<AddedToken> added_tokens;
  for (const auto& [id, content, special, normalized] : added) {
    added_tokens.push_back({id, content, special, normalized});
  }
  const nb::gil_scoped_release release;
  auto model = std::make_shared<BpeModel>(texts, pairs, std::move(added_tokens), ignore_merges);
  return std::make_shared<BpeEncoder>(std::move(model));
}

// Short texts are encoded under the GIL: giving it up costs more than the work.
IdBuffer encode_ids(const BpeEncoder& self, nb::handle text, const std::vector<bool>& allowed) {
  const Text view = view_of(text);
  const std::vector<char> flags(allowed.begin(), allowed.end());
  if (view.size() < 2048) return self.encode(view, flags);
  const nb::gil_scoped_release release;
  return self.encode(view, flags);
}

nb::list encode_list(const BpeEncoder& self, nb::handle text, const std::vector<bool>& allowed) {
  const IdBuffer ids = encode_ids(self, text, allowed);
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(ids.size()));
  if (list == nullptr) throw nb::python_error();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    PyList_SetItem(list, static_cast<Py_ssize_t>(i), PyLong_FromUnsignedLong(ids.data()[i]));
  }
  return nb::steal<nb::list>(list);
}

auto encode_batch(const BpeEncoder& self, const nb::list& texts, const std::vector<bool>& allowed,
                  unsigned num_threads) {
  const std::vector<Text> views = views_of(texts);
  const std::vector<char> flags(allowed.begin(), allowed.end());
  BatchIds batch;
  {
    const nb::gil_scoped_release release;
    batch = self.encode_batch(views, flags, num_threads, check_signals);
  }
  return nb::make_tuple(to_numpy(std::move(batch.ids)), to_numpy(std::move(batch.offsets)));
}

void check_id(const BpeModel& model, std::uint64_t id) {
  if (id < model.size()) return;
  throw DataError("decode: ids must be in [0, " + std::to_string(model.size()) + "), got " +
                  std::to_string(id));
}

nb::bytes decode_bytes(const BpeEncoder& self, const Ids& ids) {
  const BpeModel& model = self.model();
  std::string bytes;
  {
    const nb::gil_scoped_release release;
    std::size_t size = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      check_id(model, ids(i));
      size += model.token_bytes(ids(i)).size();
    }
    bytes.reserve(size);
    for (std::size_t i = 0; i < ids.size(); ++i) bytes += model.token_bytes(ids(i));
  }
  return nb::bytes(bytes.data(), bytes.size());
}

auto encode_with_offsets(const BpeEncoder& self, nb::handle text,
                         const std::vector<bool>& allowed) {
  IdBuffer ids = encode_ids(self, text, allowed);
  std::vector<std::int64_t> spans =
      token_char_spans(self.model(), view_of(text), {ids.data(), ids.size()});
  return nb::make_tuple(to_numpy(std::move(ids)), to_numpy(std::move(spans)));
}

nb::list merges_of(const BpeModel& model) {
  nb::list merges;
  for (const auto& [left, right] : model.merges()) {
    merges.append(nb::make_tuple(model.token_text(left), model.token_text(right)));
  }
  return merges;
}

void bind_encoder(nb::module_& m) {
  nb::class_<BpeEncoder>(m, "BpeEncoder")
      .def_static("build", &make_encoder, nb::arg("tokens"), nb::arg("merges"), nb::arg("added"),
                  nb::arg("ignore_merges"))
      .def("encode", &encode_list, nb::arg("text"), nb::arg("allowed"))
      .def(
          "encode_array",
          [](const BpeEncoder& self, nb::handle text, const std::vector<bool>& allowed) {
            return to_numpy(encode_ids(self, text, allowed));
          },
          nb::arg("text"), nb::arg("allowed"))
      .def("encode_batch", &encode_batch, nb::arg("texts"), nb::arg("allowed"),
           nb::arg("num_threads"))
      .def("encode_with_offsets", &encode_with_offsets, nb::arg("text"), nb::arg("allowed"))
      .def("decode_bytes", &decode_bytes, nb::arg("ids"))
      .def(
          "token_bytes",
          [](const BpeEncoder& self, std::uint64_t id) {
            check_id(self.model(), id);
            const auto bytes = self.model().token_bytes(static_cast<std::uint32_t>(id));
            return nb::bytes(bytes.data(), bytes.size());
          },
          nb::arg("id"))
      .def(
          "token_text",
          [](const BpeEncoder& self, std::uint64_t id) {
            check_id(self.model(), id);
            return self.model().token_text(static_cast<std::uint32_t>(id));
          },
          nb::arg("id"))
      .def(
          "find_text",
          [](const BpeEncoder& self, const std::string& text) -> std::optional<std::uint32_t> {
            const std::uint32_t id = self.model().find_text(text);
            return id == kNoRank ? std::nullopt : std::optional(id);
          },
          nb::arg("text"))
      .def("merges", [](const BpeEncoder& self) { return merges_of(self.model()); })
      .def(
          "count_steps",
          [](const BpeEncoder& self, nb::handle text) { return self.count_steps(view_of(text)); },
          nb::arg("text"))
      .def_prop_ro("size", [](const BpeEncoder& self) { return self.model().size(); });
}

// A BPE model on its own, of a specification's parts: for tests of what no file need hold.
class BpeDoor {
 public:
  explicit BpeDoor(const TokenizerSpec& spec)
      : model_(make_bpe(spec)), scratch_(model_->make_scratch()) {}

  nb::tuple encode(nb::handle piece, bool with_ends) {
    return run(with_ends, [&](IdBuffer& ids, std::vector<std::uint32_t>* ends) {
      model_->encode(view_of(piece), *scratch_, ids, ends);
    });
  }
  nb::tuple sample(nb::handle piece, double dropout, std::uint64_t seed) {
    return run(true, [&](IdBuffer& ids, std::vector<std::uint32_t>* ends) {
      DropoutRng rng(seed);
      auto& own = static_cast<BpeScratch&>(*scratch_);
      model_->sample(view_of(piece), dropout, rng, own, ids, ends);
    });
  }
  std::uint64_t count_steps(nb::handle piece) {
    const auto scratch = model_->make_scratch();
    IdBuffer ids;
    model_->encode(view_of(piece), *scratch, ids, nullptr);
    return static_cast<BpeScratch&>(*scratch).merge.num_steps;
  }
  std::size_t size() const { return model_->size(); }

 private:
  template <typename Encode>
  nb::tuple run(bool with_ends, const Encode& encode) {
    IdBuffer ids;
    std::vector<std::uint32_t> ends;
    encode(ids, with_ends ? &ends : nullptr);
    return nb::make_tuple(to_numpy(std::move(ids)), to_numpy(std::move(ends)));
  }

  std::unique_ptr<Bpe> model_;
  std::unique_ptr<ModelScratch> scratch_;
};

BpeDoor make_bpe_door(const std::vector<nb::bytes>& tokens,
                      std::vector<std::pair<std::uint32_t, std::uint32_t>> merges,
                      std::vector<double> scores, const nb::dict& options) {
  TokenizerSpec spec;
  for (const nb::bytes& token : tokens) spec.tokens.emplace_back(token.c_str(), token.size());
  spec.merges = std::move(merges);
  spec.scores = std::move(scores);
  const auto flag = [&](const char* name) {
    return options.contains(name) && nb::cast<bool>(options[name]);
  };
  const auto text = [&](const char* name) {
    return options.contains(name) ? nb::cast<std::string>(options[name]) : std::string();
  };
  if (flag("byte_chars")) spec.spelling = Spelling::kByteChars;
  spec.bpe.by_rank = flag("by_rank");
  spec.bpe.byte_fallback = flag("byte_fallback");
  spec.bpe.fuse_unk = flag("fuse_unk");
  spec.bpe.ignore_merges = flag("ignore_merges");
  if (options.contains("dropout")) spec.bpe.dropout = nb::cast<float>(options["dropout"]);
  spec.bpe.unk_token = text("unk_token");
  spec.bpe.continuing_subword_prefix = text("continuing_subword_prefix");
  spec.bpe.end_of_word_suffix = text("end_of_word_suffix");
  if (options.contains("extra")) spec.extra = text("extra");
  return BpeDoor(spec);
}

void bind_models_of_bpe(nb::module_& m) {
  nb::class_<BpeDoor>(m, "BpeDoor")
      .def_static("build", &make_bpe_door, nb::arg("tokens"), nb::arg("merges"), nb::arg("scores"),
                  nb::arg("options"))
      .def("encode", &BpeDoor::encode, nb::arg("piece"), nb::arg("with_ends") = false)
      .def("sample", &BpeDoor::sample, nb::arg("piece"), nb::arg("dropout"), nb::arg("seed"))
      .def("count_steps", &BpeDoor::count_steps, nb::arg("piece"))
      .def_prop_ro("size", &BpeDoor::size);
}

}  // namespace

void bind_tokenizer(nb::module_& m) {
  nb::register_exception_translator(translate);
  bind_encoder(m);
  bind_models_of_bpe(m);
  m.def("bytes_to_text",
        [](const nb::bytes& bytes) { return bytes_to_text({bytes.c_str(), bytes.size()}); });
  m.def("split_pieces", [](nb::handle text) {
    // Lengths in bytes of the pre-tokens: for tests of the scanner.
    const Text view = view_of(text);
    nb::list sizes;
    for (const std::uint8_t* p = view.data(); p < view.data() + view.size();) {
      const std::uint8_t* q = next_piece(p, view.data() + view.size());
      sizes.append(q - p);
      p = q;
    }
    return sizes;
  });
}

}  // namespace llmcore::bindings
