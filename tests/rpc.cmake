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
