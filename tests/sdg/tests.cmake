# Blocks of generation pipelines.
if(TARGET lab::generator)
  file(GLOB block_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sdg/blocks/*_test.cpp)
  lab_test_executable(test_sdg_blocks ${block_tests})
  target_link_libraries(test_sdg_blocks PRIVATE lab::generator)
  add_test(NAME sdg_blocks COMMAND test_sdg_blocks)
endif()
# lab-generate with pipeline files, as a user runs it.
if(TARGET lab-generate)
  lab_test_executable(test_blocks_app sdg/apps/blocks_test.cpp)
  target_compile_definitions(test_blocks_app PRIVATE LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_blocks_app lab-generate)
  add_test(NAME blocks_app COMMAND test_blocks_app)
endif()
# A block must take a block_run and rows and give rows: what does not is refused where it is added.
add_test(NAME compile_fail.block_without_rows
  COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -I${PROJECT_SOURCE_DIR}/include
          ${CMAKE_CURRENT_SOURCE_DIR}/sdg/compile_fail/block_without_rows.cpp)
set_tests_properties(compile_fail.block_without_rows PROPERTIES PASS_REGULAR_EXPRESSION "error: [^\n]*(ReadableBlock|no matching (member )?function for call to .*add)")
