# The simulator's program: workloads, what they cost, and whole runs.
add_test(NAME swapsim_repeat COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim/swapsim_repeat.sh
  $<TARGET_FILE:swapsim> WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(swapsim_repeat PROPERTIES TIMEOUT 120)
foreach(test workload_arrivals workload_draw workload_read workload_trace)
  ss_unit_test(${test} ss_workload)
endforeach()
ss_unit_test(serve_costs ss_catalog)
foreach(test swapsim_histogram swapsim_metrics)
  ss_unit_test(${test} ss_swapsim)
endforeach()
