# The simulator's program: workloads, and whole runs.
add_test(NAME swapsim COMMAND swapsim --config configs/simulate.yaml
  --workload configs/workloads/computron-1-1-1.yaml --check WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
