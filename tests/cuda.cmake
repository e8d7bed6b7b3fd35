# What runs on a GPU alone. Built wherever the CUDA side is; run by tests/gpu.sh on a GPU machine.
if(SWAPSERVE_HAS_CUDA)
  add_executable(stream_waits gpu/stream_waits.c gpu/probe_kernels.cu)
  target_link_libraries(stream_waits PRIVATE ss_swap PkgConfig::jansson)
  add_executable(ops_parity gpu/ops_parity.c gpu/parity.c)
  target_link_libraries(ops_parity PRIVATE ss_ops)
  add_executable(ops_waits gpu/ops_waits.c)
  target_link_libraries(ops_waits PRIVATE ss_ops PkgConfig::jansson)
endif()
