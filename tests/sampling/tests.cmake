add_test(NAME compile_fail.chain_element
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -I${PROJECT_SOURCE_DIR}/include
          ${CMAKE_CURRENT_SOURCE_DIR}/sampling/compile_fail/chain_element.cpp)
add_test(NAME compile_fail.chain_order
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -I${PROJECT_SOURCE_DIR}/include
          ${CMAKE_CURRENT_SOURCE_DIR}/sampling/compile_fail/chain_order.cpp)
set_tests_properties(compile_fail.chain_element compile_fail.chain_order PROPERTIES
  PASS_REGULAR_EXPRESSION "SamplersThenSelector|samplers_then_selector|no viable constructor or deduction guide")
