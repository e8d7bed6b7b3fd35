# Whole servers under mpirun: tests/integration/NAME.py is one test, an exit status its result. Each
# starts and ends servers of its own, and mostly waits: two run well beside each other.

# ss_server_test(NAME)
function(ss_server_test name)
  add_test(NAME server_${name} COMMAND ${SWAPSERVE_PYTHON} -B
    ${CMAKE_CURRENT_SOURCE_DIR}/integration/${name}.py)
  set_tests_properties(server_${name} PROPERTIES LABELS mpi TIMEOUT 300 ENVIRONMENT
    "SWAPSERVE_BUILD=${CMAKE_BINARY_DIR};PYTHONPATH=${PROJECT_SOURCE_DIR}:${PROJECT_SOURCE_DIR}/rpc/python;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1")
endfunction()

# The Python client's modules are in .venv, where setup.sh has put them.
find_program(SWAPSERVE_PYTHON NAMES python3 python
  HINTS ${PROJECT_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH)
find_program(SWAPSERVE_PYTHON NAMES python3)

foreach(test serve_text classes overload ends killed bad_input refusals cancel emulate
    load load_arrivals lost_rank rest)
  ss_server_test(${test})
endforeach()
# Measures processor time; alone, and in the release build only.
set_tests_properties(server_rest PROPERTIES LABELS "mpi;timing" RUN_SERIAL ON)
