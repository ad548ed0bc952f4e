// Door to csrc/tokenizer/formats.
#include "tokenizer/formats/formats.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bindings/convert.h"
#include "bindings/tokenizer.h"
#include "tokenizer/errors.h"
#include "tokenizer/formats/known_splits.h"

namespace llmcore::bindings {
namespace {

using namespace llmcore::tokenizer;

// The bytes of any contiguous buffer (bytes, memoryview, mmap), held while this lives.
class Buffer {
 public:
  explicit Buffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  FileBytes bytes() const {
    return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

TokenizerSpec read_door(nb::handle data, const std::string& name, const std::string& pattern,
                        const std::optional<nb::dict>& special_tokens,
                        const std::optional<nb::object>& merges,
                        const std::string& end_of_word_suffix, std::optional<bool> lowercase,
                        const std::optional<nb::object>& metadata) {
  const Buffer file(data);
  std::optional<Buffer> merges_file, metadata_file;
  ReadOptions options;
  options.pattern = pattern;
  options.end_of_word_suffix = end_of_word_suffix;
  options.lowercase = lowercase;
  if (merges) options.merges = merges_file.emplace(*merges).bytes();
  if (metadata) options.metadata = metadata_file.emplace(*metadata).bytes();
  options.has_special_tokens = special_tokens.has_value();
  if (special_tokens) {
    for (const auto& [content, id] : *special_tokens) {
      std::uint32_t number = 0;
      if (!nb::try_cast(id, number) || number == UINT32_MAX) {
        throw ConfigError("special_tokens: ids must be from 0 to 2**32 - 2");
      }
      options.special_tokens.emplace_back(chars_of(content), number);
    }
  }
  const nb::gil_scoped_release release;
  return read_tokenizer(file.bytes(), name, options);
}

nb::bytes write_door(const TokenizerSpec& spec, const std::string& format) {
  std::string file;
  {
    const nb::gil_scoped_release release;
    file = write_tokenizer(spec, format_of_name(format));
  }
  return nb::bytes(file.data(), file.size());
}

const char* kind_name(const TokenizerSpec& spec) {
  switch (spec.kind) {
    case ModelKind::kBpe:
      return "bpe";
    case ModelKind::kWordPiece:
      return "wordpiece";
    case ModelKind::kUnigram:
      break;
  }
  return "unigram";
}

nb::list added_list(const TokenizerSpec& spec) {
  nb::list list;
  for (const AddedTokenSpec& added : spec.added) {
    nb::dict entry;
    entry["id"] = added.id;
    entry["content"] = added.content;
    entry["single_word"] = added.single_word;
    entry["lstrip"] = added.lstrip;
    entry["rstrip"] = added.rstrip;
    entry["normalized"] = added.normalized;
    entry["special"] = added.special;
    list.append(entry);
  }
  return list;
}

nb::dict model_options(const TokenizerSpec& spec) {
  nb::dict options;
  switch (spec.kind) {
    case ModelKind::kBpe:
      options["by_rank"] = spec.bpe.by_rank;
      options["byte_fallback"] = spec.bpe.byte_fallback;
      options["fuse_unk"] = spec.bpe.fuse_unk;
      options["ignore_merges"] = spec.bpe.ignore_merges;
      options["dropout"] = spec.bpe.dropout;
      options["unk_token"] = spec.bpe.unk_token;
      options["continuing_subword_prefix"] = spec.bpe.continuing_subword_prefix;
      options["end_of_word_suffix"] = spec.bpe.end_of_word_suffix;
      break;
    case ModelKind::kWordPiece:
      options["unk_token"] = spec.wordpiece.unk_token;
      options["continuing_subword_prefix"] = spec.wordpiece.continuing_subword_prefix;
      options["max_input_chars_per_word"] = spec.wordpiece.max_input_chars_per_word;
      break;
    case ModelKind::kUnigram:
      options["unk_id"] = spec.unigram.unk_id;
      options["byte_fallback"] = spec.unigram.byte_fallback;
      options["fuse_unk"] = spec.unigram.fuse_unk;
      break;
  }
  return options;
}

nb::dict to_dict(const TokenizerSpec& spec) {
  nb::dict all;
  all["kind"] = kind_name(spec);
  all["byte_level"] = spec.spelling == Spelling::kByteChars;
  all["tokens"] = spec.tokens;
  all["scores"] = spec.scores;
  all["merges"] = spec.merges;
  all["options"] = model_options(spec);
  all["added"] = added_list(spec);
  all["normalizer"] = spec.normalizer;
  all["pre_tokenizer"] = spec.pre_tokenizer;
  all["post_processor"] = spec.post_processor;
  all["decoder"] = spec.decoder;
  all["extra"] = spec.extra;
  return all;
}

}  // namespace

void bind_formats(nb::module_& m) {
  nb::class_<TokenizerSpec>(m, "TokenizerSpec")
      .def_prop_ro("kind", &kind_name)
      .def_prop_ro("vocab_size", [](const TokenizerSpec& spec) { return spec.tokens.size(); })
      .def_prop_ro("added", &added_list)
      .def_ro("normalizer", &TokenizerSpec::normalizer)
      .def_ro("pre_tokenizer", &TokenizerSpec::pre_tokenizer)
      .def_ro("post_processor", &TokenizerSpec::post_processor)
      .def_ro("decoder", &TokenizerSpec::decoder)
      .def_rw("extra", &TokenizerSpec::extra)
      .def("to_dict", &to_dict);
  m.def("read_tokenizer", &read_door, nb::arg("data"), nb::arg("name"), nb::kw_only(),
        nb::arg("pattern") = "", nb::arg("special_tokens") = nb::none(),
        nb::arg("merges") = nb::none(), nb::arg("end_of_word_suffix") = "",
        nb::arg("lowercase") = nb::none(), nb::arg("metadata") = nb::none());
  m.def("write_tokenizer", &write_door, nb::arg("spec"), nb::arg("format"));
  m.def(
      "detect_format",
      [](nb::handle data) { return std::string(format_name(detect_format(Buffer(data).bytes()))); },
      nb::arg("data"));
  m.def(
      "split_pattern",
      [](const std::string& name) -> std::optional<std::string> {
        const KnownSplit* split = find_split(name);
        return split == nullptr ? std::nullopt : std::optional(pre_tokenizer_of(*split));
      },
      nb::arg("name"));
}

}  // namespace llmcore::bindings
