# The simulated ranks: their times, and whole runs.
add_library(sim_bench STATIC unit/sim_bench.c)
target_link_libraries(sim_bench PUBLIC ss_sim)
ss_unit_test(sim_ranks sim_bench)
ss_unit_test(sim_runs sim_bench)
