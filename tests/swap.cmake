# What moves bytes: devices, transfers, checkpoints, the arena.

# ss_contract_test(NAME KIND): tests/contract/NAME.c as it holds for the device KIND. Plain programs,
# so that ThreadSanitizer can run them; skipped where the machine has no such device.
function(ss_contract_test name kind)
  if(NOT TARGET contract_${name})
    add_executable(contract_${name} contract/${name}.c)
    target_link_libraries(contract_${name} PRIVATE ss_swap)
  endif()
  add_test(NAME contract_${name}_${kind} COMMAND contract_${name} ${kind})
  set_tests_properties(contract_${name}_${kind} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endfunction()

foreach(contract device transfer)
  ss_contract_test(${contract} cpu)
  set_tests_properties(contract_${contract}_cpu PROPERTIES LABELS tsan)
  if(SWAPSERVE_HAS_CUDA)
    ss_contract_test(${contract} cuda)
  endif()
endforeach()

foreach(unit swap_arena swap_checkpoint swap_convert swap_cpu_device swap_fill swap_fill_random
        swap_memory_limit swap_safetensors swap_transfer swap_transfer_queue)
  ss_unit_test(${unit} ss_swap)
endforeach()

# The benchmarks' programs on the CPU device, in short: that they run to their ends.
set(busy swap --busy --device cpu --model opt-350m --scale 0.1 --bandwidth 3e8 --steps 20)
ss_mpi_test(swapbench_busy_1 1 $<TARGET_FILE:swapbench> ${busy})
ss_mpi_test(swapbench_busy_4 4 $<TARGET_FILE:swapbench> ${busy} --tp 2 --pp 2)
