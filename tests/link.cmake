# Links and comms: one contract suite each, over threads and under mpirun.

# ss_mpi_test(NAME RANKS PROGRAM...): PROGRAM on RANKS processes. The environment is what root and a
# machine with fewer cores than ranks need.
function(ss_mpi_test name ranks)
  add_test(NAME ${name} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS mpi TIMEOUT 180 PROCESSORS 2 ENVIRONMENT
    "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1")
endfunction()

# ss_threads_test(NAME): a plain program that ThreadSanitizer can run.
function(ss_threads_test name)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS tsan TIMEOUT 180 PROCESSORS 2)
endfunction()

add_library(link_suite STATIC contract/link_suite.c contract/link_threads.c contract/link_run.c)
target_link_libraries(link_suite PUBLIC ss_link)

add_executable(link_inproc contract/link_inproc.c)
target_link_libraries(link_inproc PRIVATE link_suite)
ss_threads_test(link_inproc)

add_executable(link_mpi contract/link_mpi.c)
target_link_libraries(link_mpi PRIVATE link_suite MPI::MPI_C)
foreach(ranks 1 2 4)
  ss_mpi_test(link_mpi_${ranks} ${ranks} $<TARGET_FILE:link_mpi>)
endforeach()
# Ranks that believe to be on two nodes: no doorbell between them, timed probes instead.
ss_mpi_test(link_mpi_nodes 2 ${CMAKE_COMMAND} -E env SWAPSERVE_NODE=a $<TARGET_FILE:link_mpi>
  : ${MPIEXEC_NUMPROC_FLAG} 2 ${CMAKE_COMMAND} -E env SWAPSERVE_NODE=b $<TARGET_FILE:link_mpi>)

add_library(comm_suite STATIC contract/comm_suite.c contract/comm_lost.c contract/comm_rank.c)
target_link_libraries(comm_suite PUBLIC ss_comm link_suite)

add_executable(comm_inproc contract/comm_inproc.c)
target_link_libraries(comm_inproc PRIVATE comm_suite)
ss_threads_test(comm_inproc)

add_executable(comm_mpi contract/comm_mpi.c)
target_link_libraries(comm_mpi PRIVATE comm_suite)
foreach(ranks 1 2 4)
  ss_mpi_test(comm_mpi_${ranks} ${ranks} $<TARGET_FILE:comm_mpi>)
endforeach()

add_executable(comm_sum contract/comm_sum.c)
target_link_libraries(comm_sum PRIVATE ss_comm link_suite)
add_test(NAME comm_sum COMMAND comm_sum)

# Processor time at rest, which is a promise; delays, which are printed.
add_executable(link_timing contract/link_timing.c)
target_link_libraries(link_timing PRIVATE comm_suite)
ss_mpi_test(link_timing_4 4 $<TARGET_FILE:link_timing>)
set_tests_properties(link_timing_4 PROPERTIES LABELS "mpi;timing" RUN_SERIAL ON)
