# The wire, the server, the client library, and what is built on it.
ss_unit_test(rpc_codec ss_wire)
ss_unit_test(rpc_reply_codec ss_wire)

add_library(rpc_fake_engine STATIC unit/rpc_fake_engine.c)
target_link_libraries(rpc_fake_engine PUBLIC ss_rpc)
add_executable(rpc_fake_server unit/rpc_fake_server.c)
target_link_libraries(rpc_fake_server PRIVATE rpc_fake_engine)
foreach(name rpc_server rpc_server_door)
  ss_unit_test(${name} rpc_fake_engine)
  target_sources(${name} PRIVATE unit/rpc_peer.c)
endforeach()
foreach(name rpc_client rpc_client_connection)
  ss_unit_test(${name} rpc_fake_engine swapclient)
endforeach()
ss_unit_test(rpc_swapctl rpc_fake_engine)
target_compile_definitions(rpc_swapctl PRIVATE SWAPCTL="$<TARGET_FILE:swapctl>")
add_dependencies(rpc_swapctl swapctl)

# The Python client, with the modules that setup.sh puts into .venv.
find_program(SWAPSERVE_PYTHON NAMES python3 python
  HINTS ${PROJECT_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH)
find_program(SWAPSERVE_PYTHON NAMES python3)
add_test(NAME rpc_python COMMAND ${SWAPSERVE_PYTHON} -W error::ResourceWarning -m unittest discover
  -s ${CMAKE_CURRENT_SOURCE_DIR}/integration/python)
set_tests_properties(rpc_python PROPERTIES TIMEOUT 120 ENVIRONMENT
  "SWAPSERVE_FAKE_SERVER=$<TARGET_FILE:rpc_fake_server>;PYTHONPATH=${PROJECT_SOURCE_DIR}/rpc/python;PYTHONDONTWRITEBYTECODE=1")
