// Door to csrc/tokenizer/split.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"
#include "tokenizer/split/known_pretokenizer.h"
#include "tokenizer/split/pre_tokenizer.h"
#include "tokenizer/split/regex.h"
#include "tokenizer/split/scan_pieces.h"

namespace llmcore::bindings {

using namespace tokenizer;

namespace {

// Bounds as begin, end, begin, end, ...
template <class Span>
auto flat_bounds(const std::vector<Span>& spans) {
  std::vector<std::int64_t> flat;
  flat.reserve(2 * spans.size());
  for (const Span& span : spans) {
    flat.push_back(span.begin);
    flat.push_back(span.end);
  }
  return to_numpy(std::move(flat));
}

class SplitterDoor {
 public:
  explicit SplitterDoor(const std::string& json) {
    const JsonDocument document(json, "pre_tokenizer");
    splitter_ = make_pre_tokenizer(document.root(), "pre_tokenizer");
    known_ = find_known_pattern(document.root());
  }
  nb::tuple split(nb::handle object, bool is_start) const {
    AlignedText text;
    std::vector<Piece> pieces;
    std::vector<Origin> origins;
    const Text view = view_of(object);
    {
      const nb::gil_scoped_release release;
      text.start(view, true);
      if (text.size() > 0) pieces.push_back({0, static_cast<std::uint32_t>(text.size())});
      if (splitter_) splitter_->split(text, pieces, is_start);
      for (const Piece& piece : pieces) origins.push_back(text.origin(piece.begin, piece.end));
    }
    return nb::make_tuple(nb::bytes(text.view().data(), text.size()), flat_bounds(pieces),
                          flat_bounds(origins));
  }
  std::optional<std::string> known_pattern() const {
    if (!known_) return std::nullopt;
    return std::string(pattern_name(*known_));
  }

 private:
  std::unique_ptr<PreTokenizer> splitter_;
  std::optional<KnownPattern> known_;
};

KnownPattern pattern_called(const std::string& name) {
  const std::optional<KnownPattern> pattern = find_known_pattern(std::string_view(name));
  if (!pattern) throw ConfigError("pattern: must be a known name or text, got " + json_quote(name));
  return *pattern;
}

auto split_known(const std::string& name, nb::handle object) {
  const KnownPattern pattern = pattern_called(name);
  const Text text = view_of(object);
  std::vector<Piece> pieces;
  const nb::gil_scoped_release release;
  for_each_piece(pattern, text.data(), text.data() + text.size(),
                 [&](const std::uint8_t* begin, const std::uint8_t* end) {
                   pieces.push_back({static_cast<std::uint32_t>(begin - text.data()),
                                     static_cast<std::uint32_t>(end - text.data())});
                 });
  const nb::gil_scoped_acquire acquire;
  return flat_bounds(pieces);
}

// All the places where a text may be cut: for tests.
std::vector<std::int64_t> safe_cuts(const std::string& name, nb::handle object) {
  const KnownPattern pattern = pattern_called(name);
  const Text text = view_of(object);
  const std::uint8_t* const end = text.data() + text.size();
  std::vector<std::int64_t> cuts;
  for (const std::uint8_t* p = text.data(); p < end;) {
    p = next_safe_cut(pattern, text.data(), p + 1, end);
    if (p < end) cuts.push_back(p - text.data());
  }
  return cuts;
}

}  // namespace

void bind_splitter(nb::module_& m) {
  nb::class_<SplitterDoor>(m, "PreTokenizer")
      .def_static(
          "from_json", [](const std::string& json) { return std::make_unique<SplitterDoor>(json); },
          nb::arg("json"))
      .def("split", &SplitterDoor::split, nb::arg("text"), nb::arg("is_start") = true)
      .def_prop_ro("known_pattern", &SplitterDoor::known_pattern);
  nb::class_<Regex>(m, "Regex")
      .def(
          "__init__",
          [](Regex* self, const std::string& pattern, bool oniguruma) {
            const auto flavor = oniguruma ? RegexFlavor::kOniguruma : RegexFlavor::kFancyRegex;
            new (self) Regex(pattern, flavor, "pattern");
          },
          nb::arg("pattern"), nb::arg("oniguruma") = true)
      .def(
          "find_all",
          [](const Regex& self, nb::handle object) {
            const Text text = view_of(object);
            std::vector<Match> matches;
            {
              const nb::gil_scoped_release release;
              self.find_all(text, matches);
            }
            return flat_bounds(matches);
          },
          nb::arg("text"))
      .def_prop_ro("has_table", &Regex::has_table);
  m.def("split_known", &split_known, nb::arg("pattern"), nb::arg("text"));
  m.def("known_pattern_text",
        [](const std::string& name) { return std::string(pattern_text(pattern_called(name))); });
  m.def("safe_cuts",
        [](const std::string& name, nb::handle text) { return to_numpy(safe_cuts(name, text)); });
}

}  // namespace llmcore::bindings
