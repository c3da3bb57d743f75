# lab-generate inspect, diff and report as a user runs them.
if(TARGET lab-generate)
  lab_test_executable(test_inspect_app inspect/app_test.cpp)
  target_compile_definitions(test_inspect_app PRIVATE LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_inspect_app lab-generate)
  add_test(NAME inspect_app COMMAND test_inspect_app)
endif()
