# llmcore_add_op(<name>) enters one op of the kernel contract into the source lists that
# csrc/{cpu,cuda,torch}/CMakeLists.txt read. The CUDA file may be absent only while the op's
# Python door raises KernelUnavailable for CUDA.
define_property(GLOBAL PROPERTY LLMCORE_OPS BRIEF_DOCS "Names of the ops with native kernels")

function(llmcore_add_op name)
  foreach(file IN ITEMS csrc/ops/${name}.h csrc/cpu/${name}.cpp csrc/torch/${name}.cpp)
    if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "llmcore_add_op(${name}): ${file} is missing")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY LLMCORE_OPS ${name})
endfunction()

# llmcore_op_sources(<out> <room> <extension>) lists the op files of one room.
function(llmcore_op_sources out room extension)
  get_property(ops GLOBAL PROPERTY LLMCORE_OPS)
  set(sources "")
  foreach(op IN LISTS ops)
    set(file "${PROJECT_SOURCE_DIR}/csrc/${room}/${op}.${extension}")
    if(EXISTS "${file}")
      list(APPEND sources "${file}")
    endif()
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
