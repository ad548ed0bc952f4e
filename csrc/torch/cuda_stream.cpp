#include "torch/cuda_stream.h"

#include <dlfcn.h>

#include <cstdint>
#include <stdexcept>

namespace llmcore::door {

namespace {

using GetStream = int32_t (*)(int32_t device_idx, void** stream);

GetStream find_get_stream() {
  // torch has loaded it already, or this is a CPU build; RTLD_NOLOAD never loads it anew.
  void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  return reinterpret_cast<GetStream>(dlsym(library, "aoti_torch_get_current_cuda_stream"));
}

}  // namespace

void* current_cuda_stream(int device_idx) {
  static const GetStream get_stream = find_get_stream();
  void* stream = nullptr;
  if (get_stream == nullptr || get_stream(device_idx, &stream) != 0) {
    throw std::runtime_error("llmcore: this torch has no CUDA stream; is it a CPU build?");
  }
  return stream;
}

}  // namespace llmcore::door
