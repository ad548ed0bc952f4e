// Door to csrc/tokenizer/normalize.
#include "tokenizer/normalize/normalizer.h"

#include <nanobind/stl/string_view.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

constexpr std::size_t kReleaseFrom = 2048;

class TextNormalizer {
 public:
  static TextNormalizer from_json(std::string_view text) {
    const JsonDocument document{std::string(text), "normalizer"};
    return TextNormalizer(make_normalizer(document.root(), "normalizer"));
  }

  // The normalized bytes and, if tracked, begin and end of where each came from.
  nb::tuple apply(nb::handle object, bool track) const {
    const Text text = view_of(object);
    AlignedText from, to;
    {
      std::optional<nb::gil_scoped_release> release;
      if (text.size() >= kReleaseFrom) release.emplace();
      from.start(text, track);
      if (normalizer_) {
        normalizer_->apply(from, to);
      } else {
        to.swap(from);
      }
    }
    std::vector<std::uint32_t> origins;
    origins.reserve(track ? 2 * to.size() : 0);
    for (std::size_t i = 0; track && i < to.size(); ++i) {
      origins.push_back(to.origin(i).begin);
      origins.push_back(to.origin(i).end);
    }
    return nb::make_tuple(nb::bytes(to.view().data(), to.size()), to_numpy(std::move(origins)));
  }

 private:
  explicit TextNormalizer(std::unique_ptr<Normalizer> normalizer)
      : normalizer_(std::move(normalizer)) {}
  std::shared_ptr<const Normalizer> normalizer_;
};

}  // namespace

void bind_normalizer(nb::module_& m) {
  nb::class_<TextNormalizer>(m, "Normalizer")
      .def_static("from_json", &TextNormalizer::from_json, nb::arg("text"))
      .def("apply", &TextNormalizer::apply, nb::arg("text"), nb::arg("track") = false);
}

}  // namespace llmcore::bindings
