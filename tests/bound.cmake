# The offline bound.
ss_unit_test(sim_bound ss_bound)
