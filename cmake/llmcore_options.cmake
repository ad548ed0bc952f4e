# Warnings and sanitizers, carried by one interface target that every compiled target links.
set(LLMCORE_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'; empty for none")

add_library(llmcore_options INTERFACE)
target_compile_options(
  llmcore_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror>)

if(LLMCORE_SANITIZE)
  # Four instruction sets of every kernel: -O1 -g1, and checks that call instead of being inlined,
  # compile them in a third of the time of RelWithDebInfo's flags.
  set(flags -fsanitize=${LLMCORE_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  if(LLMCORE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND flags "SHELL:--param asan-instrumentation-with-call-threshold=0")
  endif()
  if(LLMCORE_SANITIZE MATCHES "undefined")
    list(APPEND flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(llmcore_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${flags}>)
  target_link_options(llmcore_options INTERFACE ${flags})
endif()
