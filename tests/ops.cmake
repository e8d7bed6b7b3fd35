# Tensor operations on the CPU, each against double precision and against itself.
foreach(test ops_linear ops_dense ops_norm ops_attention ops_rows ops_sample ops_table ops_paced)
  ss_unit_test(${test} ss_ops)
endforeach()
