# The rules of the house over the whole checkout, and that each rule can fail.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME house COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/house/house.py
  ${PROJECT_SOURCE_DIR})
add_test(NAME house_self_test COMMAND ${Python3_EXECUTABLE} -B
  ${CMAKE_CURRENT_SOURCE_DIR}/house/house.py --self-test)
set_tests_properties(house house_self_test PROPERTIES LABELS house)
