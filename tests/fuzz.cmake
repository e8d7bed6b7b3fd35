# Fuzzers of what parses foreign bytes, built by clang with
#     cmake -B build/fuzz -DCMAKE_C_COMPILER=clang -DSWAPSERVE_FUZZ=ON \
#           -DSWAPSERVE_SANITIZE=address,undefined && cmake --build build/fuzz --target fuzz
# tests/fuzz/fuzz_NAME.c is one libFuzzer program; its committed inputs are in tests/fuzz/corpus/NAME.
option(SWAPSERVE_FUZZ "Build the fuzzers; needs clang" OFF)

# ss_fuzz(NAME LIBRARIES...): left out while the source or a library is not there.
function(ss_fuzz name)
  if(TARGET fuzz_${name})
    add_dependencies(fuzz fuzz_${name})
    return()
  endif()
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${name}.c)
    return()
  endif()
  foreach(library ${ARGN})
    if(NOT TARGET ${library})
      message(STATUS "fuzz_${name}: left out, no library ${library}")
      return()
    endif()
  endforeach()
  add_executable(fuzz_${name} EXCLUDE_FROM_ALL fuzz/fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz fuzz_${name})
endfunction()

if(SWAPSERVE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "SWAPSERVE_FUZZ=ON needs clang, the compiler is ${CMAKE_C_COMPILER}: "
                        "add -DCMAKE_C_COMPILER=clang in a fresh build folder")
  endif()
  target_compile_options(ss_options INTERFACE -fsanitize=fuzzer-no-link -fno-sanitize-recover=all)
  add_custom_target(fuzz)
  ss_fuzz(config ss_config)
  ss_fuzz(entry ss_entry)
  ss_fuzz(request ss_wire)
  ss_fuzz(safetensors ss_swap)
  ss_fuzz(tokenizer ss_text)
  ss_fuzz(trace ss_workload)
  ss_fuzz(workload ss_workload)
endif()
