# lab-generate select as a user runs it.
if(TARGET lab-generate)
  lab_test_executable(test_select_app select/app_test.cpp)
  target_compile_definitions(test_select_app PRIVATE LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_select_app lab-generate)
  add_test(NAME select_app COMMAND test_select_app)
endif()
