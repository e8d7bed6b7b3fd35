# Short forms of the experiments: the same programs, less of everything.
find_program(SWAPSERVE_PYTHON NAMES python3 python
  HINTS ${PROJECT_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH)
find_program(SWAPSERVE_PYTHON NAMES python3)

function(ss_experiment name)
  cmake_parse_arguments(arg "" "" "LABELS;COMMAND" ${ARGN})
  add_test(NAME experiment_${name} COMMAND ${SWAPSERVE_PYTHON} ${arg_COMMAND}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/experiments)
  set_tests_properties(experiment_${name} PROPERTIES TIMEOUT 300 PROCESSORS 2 LABELS "${arg_LABELS}" ENVIRONMENT
    "SWAPSERVE_BUILD=${PROJECT_BINARY_DIR};PYTHONPATH=${PROJECT_SOURCE_DIR}/rpc/python:${PROJECT_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1")
endfunction()

ss_experiment(exact_swapping LABELS mpi COMMAND exact-swapping/run.py --requests 120 --replay)
ss_experiment(drops LABELS mpi COMMAND hiding/run.py --small --parts drops)
ss_experiment(hiding LABELS mpi timing COMMAND hiding/run.py --small --parts cold sweep)
# Nothing in it is judged by a time alone: only by the order of what was measured side by side.
ss_experiment(swap_scaling LABELS mpi timing COMMAND swap-scaling/run.py --small)
ss_experiment(workloads LABELS mpi timing COMMAND workloads/run.py --small)
ss_experiment(ablation COMMAND ablation/run.py --small)
# Their live halves are judged by what is answered and loaded, never by times.
ss_experiment(density LABELS mpi timing COMMAND density/run.py --small)
ss_experiment(generation LABELS mpi timing COMMAND generation/run.py --small)
ss_experiment(computron COMMAND computron/run.py --seeds 0)
ss_experiment(profile LABELS mpi timing COMMAND profile/check.py)
ss_experiment(calibration LABELS mpi timing COMMAND calibration/run.py --small)
ss_experiment(ablation_live LABELS mpi timing COMMAND ablation-live/run.py --small)
ss_experiment(idle LABELS mpi timing COMMAND idle/run.py --seconds 5)
