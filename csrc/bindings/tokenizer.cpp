#include "bindings/tokenizer.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "tokenizer/errors.h"
#include "tokenizer/models/bpe.h"
#include "tokenizer/models/byte_alphabet.h"
#include "tokenizer/split/gpt2_scanner.h"

namespace nb = nanobind;

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

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
  bind_models_of_bpe(m);
  m.def("bytes_to_text",
        [](const nb::bytes& bytes) { return bytes_to_text({bytes.c_str(), bytes.size()}); });
  m.def("split_pieces", [](nb::handle text) {
    // Lengths in bytes of GPT-2's pre-tokens, as training counts them: for tests.
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
