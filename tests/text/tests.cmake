# What must not compile: each file is compiled alone, and the compiler's message has to say why.
function(lab_compile_fail name file message)
  add_test(NAME compile_fail.${name}
    COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -I${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set_tests_properties(compile_fail.${name} PROPERTIES PASS_REGULAR_EXPRESSION "error: [^\n]*${message}")
endfunction()

lab_compile_fail(prompt_missing text/compile_fail/prompt_missing.cpp "missing_field<.*(topic|'t', 'o', 'p', 'i', 'c')")
lab_compile_fail(prompt_unknown text/compile_fail/prompt_unknown.cpp "unknown_field<.*(colour|'c', 'o', 'l', 'o', 'u', 'r')")
lab_compile_fail(prompt_repeated text/compile_fail/prompt_repeated.cpp "repeated_field<.*(who|'w', 'h', 'o')")
lab_compile_fail(prompt_malformed text/compile_fail/prompt_malformed.cpp "malformed_prompt<")

# The loop of lab-chat, without terminal and model.
find_package(cxxopts QUIET)
if(cxxopts_FOUND)
  lab_test_executable(test_repl text/apps/repl_test.cpp)
  target_include_directories(test_repl PRIVATE ${PROJECT_SOURCE_DIR}/apps)
  target_link_libraries(test_repl PRIVATE cxxopts::cxxopts)
  target_compile_definitions(test_repl PRIVATE CXXOPTS_NO_REGEX=true)
  add_test(NAME repl COMMAND test_repl)
endif()
