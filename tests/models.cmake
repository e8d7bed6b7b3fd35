# Models, the stage executor, and the parts of the server that stand alone.
foreach(test models_config_json models_families models_partition models_shapes)
  ss_unit_test(${test} ss_models PkgConfig::jansson)
endforeach()
foreach(test stage_pipeline stage_protocol stage_recorded stage_residency stage_standstill stage_tokens
        stage_warm_up)
  ss_unit_test(${test} ss_stage PkgConfig::jansson)
endforeach()
foreach(test serve_catalog serve_hiding serve_keys serve_progress serve_tickets)
  ss_unit_test(${test} ss_serve)
endforeach()
