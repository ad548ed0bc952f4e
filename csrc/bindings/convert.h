// What the doors of this room share: Python texts as bytes, results as numpy arrays.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string_view>
#include <vector>

#include "tokenizer/id_buffer.h"
#include "tokenizer/text/aligned_text.h"

namespace llmcore::bindings {

namespace nb = nanobind;

// Bytes of a str (as UTF-8) or bytes object; they live as long as the object. Throws DataError.
tokenizer::Text view_of(nb::handle object);
// The same of a str alone.
std::string_view chars_of(nb::handle object);
std::vector<tokenizer::Text> views_of(const nb::list& texts);

template <typename T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  const nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(owned->data(), {owned->size()}, owner);
}

nb::ndarray<nb::numpy, std::uint32_t, nb::ndim<1>> to_numpy(tokenizer::IdBuffer&& ids);

// Lets Ctrl-C through: takes the GIL, and throws what Python's signal handler raised.
void check_signals();

}  // namespace llmcore::bindings
