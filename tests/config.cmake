# The configuration: units, reading, the examples, and the list of keys in configs/README.md.
ss_unit_test(config_units ss_config)
ss_unit_test(config_read ss_config)
add_executable(config_reference unit/config_reference.c)
target_link_libraries(config_reference PRIVATE ss_config ss_workload)
add_test(NAME config_reference COMMAND config_reference configs/README.md
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
foreach(folder profiles workloads)
  add_test(NAME config_reference_${folder} COMMAND config_reference configs/${folder}/README.md
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endforeach()
