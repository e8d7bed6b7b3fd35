# Golden results of transformers, in every layout: see golden/README.md.
add_executable(golden_run golden/golden.c golden/golden_run.c)
target_link_libraries(golden_run PRIVATE ss_stage PkgConfig::jansson)

find_program(SWAPSERVE_PYTHON NAMES python3 python
  HINTS ${PROJECT_SOURCE_DIR}/.venv/bin NO_DEFAULT_PATH)
find_program(SWAPSERVE_PYTHON NAMES python3)
set(golden ${PROJECT_SOURCE_DIR}/tests/golden)
set(cast ${CMAKE_CURRENT_BINARY_DIR}/golden)
file(MAKE_DIRECTORY ${cast})

# One test per model and stored type runs all six layouts.
function(ss_golden_test model dtype folder)
  set(name golden_${model}_${dtype})
  add_test(NAME ${name} COMMAND ${golden}/layouts.sh $<TARGET_FILE:golden_run> ${folder}
    ${golden}/expected/${model}-${dtype}.json)
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()

foreach(model opt-tiny llama-tiny qwen2-tiny)
  ss_golden_test(${model} fp32 ${golden}/models/${model})
  foreach(dtype fp16 bf16)
    set(folder ${cast}/${model}-${dtype})
    add_test(NAME cast_${model}_${dtype}
      COMMAND ${SWAPSERVE_PYTHON} ${golden}/cast.py ${golden}/models/${model} ${folder} ${dtype})
    set_tests_properties(cast_${model}_${dtype} PROPERTIES FIXTURES_SETUP ${model}_${dtype})
    ss_golden_test(${model} ${dtype} ${folder})
    set_tests_properties(golden_${model}_${dtype} PROPERTIES FIXTURES_REQUIRED ${model}_${dtype})
  endforeach()
endforeach()
ss_golden_test(opt-postnorm fp32 ${golden}/models/opt-postnorm)
ss_golden_test(opt-noprefix fp16 ${golden}/models/opt-noprefix)
ss_golden_test(llama-tied bf16 ${golden}/models/llama-tied)
