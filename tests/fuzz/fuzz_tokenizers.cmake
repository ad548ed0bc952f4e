# The fuzzer's programs, for this folder's own project and for tests/csrc.
set(fuzz_dir ${CMAKE_CURRENT_LIST_DIR})
add_library(llmcore_fuzz_targets OBJECT
  ${fuzz_dir}/targets.cpp ${fuzz_dir}/targets_chunks.cpp ${fuzz_dir}/targets_components.cpp
  ${fuzz_dir}/targets_files.cpp ${fuzz_dir}/targets_texts.cpp ${fuzz_dir}/targets_train.cpp
  ${fuzz_dir}/random_spec.cpp ${fuzz_dir}/../csrc/small_tokenizers.cpp)
target_include_directories(llmcore_fuzz_targets PUBLIC ${fuzz_dir} ${fuzz_dir}/../csrc)
target_link_libraries(llmcore_fuzz_targets PUBLIC llmcore_tokenizer llmcore_options)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_executable(fuzz_tokenizers
    ${fuzz_dir}/coverage.cpp ${fuzz_dir}/fuzz_tokenizers.cpp ${fuzz_dir}/mutator.cpp)
  target_link_libraries(fuzz_tokenizers PRIVATE llmcore_fuzz_targets)
  # Called at every basic block.
  set_source_files_properties(${fuzz_dir}/coverage.cpp PROPERTIES COMPILE_OPTIONS
    "-O2;-fno-sanitize=all")
else()
  # libFuzzer brings main(); LLMCORE_FUZZ_TARGET=gguf fuzz_tokenizers CORPUS
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp "")
  add_executable(fuzz_tokenizers ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
  target_link_libraries(fuzz_tokenizers PRIVATE llmcore_fuzz_targets -fsanitize=fuzzer)
endif()
