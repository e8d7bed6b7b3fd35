# What every part stands on.
ss_unit_test(base_process ss_base)
ss_unit_test(base_thread ss_base)
