# Entries, the controller core, and the random simulations that check it.
ss_unit_test(entry_codec ss_entry)

# The fuzzers need clang: cmake -DCMAKE_C_COMPILER=clang.
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  add_executable(fuzz_entry fuzz/fuzz_entry.c)
  target_compile_options(fuzz_entry PRIVATE -fsanitize=fuzzer,address)
  target_link_options(fuzz_entry PRIVATE -fsanitize=fuzzer,address)
  target_link_libraries(fuzz_entry PRIVATE ss_entry)
  add_test(NAME fuzz_entry COMMAND fuzz_entry -max_total_time=10 -max_len=4096 -verbosity=0)
endif()

foreach(test core_classes core_controller core_overdue core_page_map core_policy core_pool core_room
    core_steps core_swap_aware core_watch)
  ss_unit_test(${test} ss_core)
endforeach()

# The controller against simulated ranks, from seeds: sim_random --seeds A..B replays.
add_executable(sim_random sim/could_step.c sim/idle.c sim/misfortune.c sim/overtaking.c
  sim/promises.c sim/run.c sim/scenario.c sim/seen.c sim/sim_random.c sim/trace.c)
target_link_libraries(sim_random PRIVATE ss_sim)
# Sanitizers are slower and play fewer; the others must see every state, reason, action and entry.
set(sim_random_seeds 1000)
set(sim_random_flags --cover)
if(SWAPSERVE_SANITIZE)
  set(sim_random_seeds 400)
  set(sim_random_flags)
endif()
foreach(part 0 1 2 3)
  math(EXPR first "${part} * ${sim_random_seeds} + 1")
  math(EXPR last "${first} + ${sim_random_seeds} - 1")
  add_test(NAME sim_random_${part}
    COMMAND sim_random --seeds ${first}..${last} ${sim_random_flags})
  set_tests_properties(sim_random_${part} PROPERTIES TIMEOUT 300)
endforeach()
add_test(NAME sim_random_same COMMAND sim_random --seeds 1..100 --twice)
set_tests_properties(sim_random_same PROPERTIES TIMEOUT 300)
