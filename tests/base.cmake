# What every part stands on.
ss_unit_test(base_thread ss_base)
