#include "bindings/convert.h"

#include <nanobind/stl/string.h>

#include <string>

#include "tokenizer/errors.h"

namespace llmcore::bindings {

using tokenizer::DataError;
using tokenizer::IdBuffer;
using tokenizer::Text;

// Bytes of a str (as UTF-8) or bytes object; they live as long as the object.
Text view_of(nb::handle object) {
  if (PyBytes_Check(object.ptr())) {
    const char* data = PyBytes_AsString(object.ptr());
    return {reinterpret_cast<const std::uint8_t*>(data),
            static_cast<std::size_t>(PyBytes_Size(object.ptr()))};
  }
  if (!PyUnicode_Check(object.ptr())) {
    throw DataError("tokenizer: text must be str or bytes, got " +
                    nb::cast<std::string>(nb::str(nb::type_name(object.type()))));
  }
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (data == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw nb::python_error();
    PyErr_Clear();
    throw DataError("tokenizer: text must be valid Unicode, got a lone surrogate");
  }
  return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

std::string_view chars_of(nb::handle object) {
  if (!PyUnicode_Check(object.ptr())) throw DataError("tokenizer: a token must be a string");
  const Text text = view_of(object);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

std::vector<Text> views_of(const nb::list& texts) {
  std::vector<Text> views;
  views.reserve(nb::len(texts));
  for (const nb::handle text : texts) views.push_back(view_of(text));
  return views;
}

nb::ndarray<nb::numpy, std::uint32_t, nb::ndim<1>> to_numpy(IdBuffer&& ids) {
  const std::size_t size = ids.size();
  std::uint32_t* owned = ids.release();
  const nb::capsule owner(owned == nullptr ? new std::uint32_t[1] : owned,
                          [](void* p) noexcept { delete[] static_cast<std::uint32_t*>(p); });
  return nb::ndarray<nb::numpy, std::uint32_t, nb::ndim<1>>(owner.data(), {size}, owner);
}

void check_signals() {
  const nb::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

}  // namespace llmcore::bindings
