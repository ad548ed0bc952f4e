# Headers and libtorch_cpu.so of the importable torch, found as files: no find_package(Torch), which
# demands a CUDA toolkit on CUDA wheels. Only the stable C ABI is used, so the torch of the build
# and that of the run may differ (>= 2.11).
set(LLMCORE_TORCH_DIR "" CACHE PATH "Folder of the torch package; empty: ask the interpreter")
set(LLMCORE_TORCH_TARGET_VERSION 0x020B000000000000) # 2.11

if(NOT LLMCORE_TORCH_DIR)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "llmcore: ${Python_EXECUTABLE} cannot import torch; install torch >= 2.11 "
                        "or pass -DLLMCORE_TORCH_DIR=<folder of the torch package>")
  endif()
else()
  set(torch_dir "${LLMCORE_TORCH_DIR}")
endif()
if(NOT EXISTS "${torch_dir}/include/torch/csrc/stable/library.h")
  message(FATAL_ERROR "llmcore: ${torch_dir} has no stable ABI headers; torch >= 2.11 is needed")
endif()

add_library(llmcore_torch_abi INTERFACE)
target_include_directories(llmcore_torch_abi SYSTEM INTERFACE "${torch_dir}/include")
# This macro makes any ATen or c10 header a compile error.
target_compile_definitions(
  llmcore_torch_abi INTERFACE TORCH_TARGET_VERSION=${LLMCORE_TORCH_TARGET_VERSION})
target_link_libraries(llmcore_torch_abi INTERFACE "${torch_dir}/lib/libtorch_cpu.so")
message(STATUS "llmcore: torch headers from ${torch_dir}")
