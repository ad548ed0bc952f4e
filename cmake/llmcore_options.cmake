# Warnings and sanitizers, carried by one interface target that every compiled target links.
set(LLMCORE_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined' or 'thread'; empty for none")

add_library(llmcore_options INTERFACE)
target_compile_options(
  llmcore_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror>)

if(LLMCORE_SANITIZE)
  # -O1 -g1 compiles the kernels in half the time of RelWithDebInfo's flags, four sets of each.
  set(flags -fsanitize=${LLMCORE_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  if(LLMCORE_SANITIZE MATCHES "undefined")
    list(APPEND flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(llmcore_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${flags}>)
  target_link_options(llmcore_options INTERFACE ${flags})
endif()
