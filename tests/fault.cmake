# A whole group as threads of one process: answers under load, and planted faults.
add_library(test_group STATIC fault/group.c)
target_link_libraries(test_group PUBLIC ss_serve)

add_executable(serve_threads fault/serve_threads.c)
target_link_libraries(serve_threads PRIVATE test_group)
add_test(NAME serve_threads
  COMMAND serve_threads ${PROJECT_SOURCE_DIR}/tests/fault/group.yaml 60 1)
set_tests_properties(serve_threads PROPERTIES TIMEOUT 600 LABELS tsan)

add_executable(serve_faults fault/serve_faults.c fault/server.c)
target_link_libraries(serve_faults PRIVATE ss_serve swapclient)
foreach(kind alloc device link file comm thread socket)
  add_test(NAME serve_faults_${kind}
    COMMAND serve_faults ${PROJECT_SOURCE_DIR}/tests/fault/faults.yaml ${kind} 1 12)
  set_tests_properties(serve_faults_${kind} PROPERTIES TIMEOUT 300)
endforeach()
